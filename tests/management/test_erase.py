from __future__ import annotations

import pytest
from django.core.management import CommandError

from tests.lives import EXTERNAL_ID, Life
from tests.management.test_commands import run
from tests.stories import unchanged
from twofa import vault
from twofa.exceptions import StorageUnavailable
from twofa.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]


@pytest.fixture
def life() -> Life:
    return Life()


def test_erasure_tells_the_pseudonym_and_is_the_operator_s(life):
    out, _err = run("twofa_erase", life.shop.campaign.slug, EXTERNAL_ID, "--reason", "request 17")
    assert f"What is left is {life.participant.external_id}." in out
    assert EXTERNAL_ID not in out
    assert Event.objects.get(type="participant.erased").actor.endswith("(command line)")


def test_participant_who_is_not_there_is_told(life):
    for arguments in ((life.shop.campaign.slug, "nobody"), ("no-campaign", EXTERNAL_ID)):
        with unchanged(), pytest.raises(CommandError, match="no such participant"):
            run("twofa_erase", *arguments)


def test_refusal_names_the_redemptions_and_ends_with_one(life):
    redemption = life.shop.open()
    with unchanged(), pytest.raises(CommandError, match=str(redemption.pk)) as error:
        run("twofa_erase", life.shop.campaign.slug, EXTERNAL_ID)
    assert error.value.returncode == 1


def test_file_that_is_still_there_ends_with_one(life, monkeypatch):
    def down(_name):
        raise StorageUnavailable(60)

    monkeypatch.setattr(vault, "erase", down)
    with pytest.raises(CommandError, match="still in the storage: 2"):
        run("twofa_erase", life.shop.campaign.slug, EXTERNAL_ID)
    assert life.participant.erased_at is not None
