"""A person gets all that is kept of them, and nothing that is another's or a secret."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.serializers.json import DjangoJSONEncoder

from tests.lives import CPF, EMAIL, EXTERNAL_ID, NAME, PHONE, SPARE, Life
from tests.stories import STAFF, travel, unchanged
from twofa import vault
from twofa.exceptions import StorageUnavailable
from twofa.flows import portability, purges
from twofa.models import AccessToken, Challenge, Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def life(documents_folder) -> Life:
    return Life()


def export(life: Life, **options) -> portability.Export:
    return portability.export(life.participant, actor=STAFF, **options)


def text_of(exported: portability.Export) -> str:
    return json.dumps(exported.data, cls=DjangoJSONEncoder, ensure_ascii=False)


def test_all_that_is_kept_is_given(life):
    data = export(life).data
    person = data["participant"]
    assert (person["external_id"], person["name"], person["document_number"]) == (EXTERNAL_ID, NAME, CPF)
    assert {device["address"] for device in data["devices"]} == {PHONE, EMAIL, SPARE}
    own = life.participant
    for kind, rows in (
        ("redemptions", own.redemptions),
        ("challenges", own.challenges),
        ("documents", own.documents),
        ("events", Event.objects.filter(participant=own.pk)),
    ):
        assert len(data[kind]) == rows.count() > 1, kind
    assert len(data["deliveries"]) > 2
    assert data["documents"][0]["comment"] == f"Dear {NAME}"


def test_it_tells_where_they_are_logged_in_and_nothing_that_opens(life):
    exported = export(life)
    (session,) = exported.data["sessions"]
    assert (session["storefront"], session["revoked_at"]) == (life.shop.storefront.name, None)
    assert session["expires_at"] > session["created_at"]
    assert session["prefix"] == AccessToken.prefix_of(life.session)
    row = AccessToken.objects.get()
    for hidden in (life.session[-43:], bytes(row.hashed_token).hex(), bytes(row.session_hash).hex()):
        assert hidden not in text_of(exported)


def test_pictures_are_given_in_clear(life):
    pictures = list(export(life).pictures())
    assert [picture.data[:3] for picture in pictures] == [b"\xff\xd8\xff"] * 2
    assert len({picture.name for picture in pictures}) == 2


def test_no_secret_and_nothing_of_another_is_given(life):
    text = text_of(export(life))
    for challenge in Challenge.objects.exclude(seed=None):
        assert bytes(challenge.seed).hex() not in text
    assert not {"seed", "accepted", "transaction_digest", "fingerprint", "kid"} & set(words(text))
    assert life.other.address not in text
    assert life.other.participant.external_id not in json.loads(text)["participant"].values()


def words(text: str) -> list[str]:
    """Names of all members."""
    found: list[str] = []
    json.loads(text, object_pairs_hook=lambda pairs: found.extend(name for name, _value in pairs))
    return found


def test_what_staff_wrote_for_one_another_is_given_only_where_it_is_asked_for(life):
    text = text_of(export(life))
    assert f"{NAME}?" not in text
    assert f"{NAME} asked" not in text
    assert f"{NAME}?" in text_of(export(life, with_internal_comments=True))


def test_event_names_who_took_it_and_nothing_of_the_person(life):
    export(life)
    event = Event.objects.get(type="participant.exported")
    assert (event.actor, event.participant_id, event.data) == (
        STAFF.label, life.participant.pk, {"internal_comments": False},
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_export_that_breaks_off_is_told_as_well(life, monkeypatch):
    def broken(*_args):
        raise OSError

    monkeypatch.setattr(portability, "_read", broken)
    with pytest.raises(OSError):
        export(life)
    assert Event.objects.filter(type="participant.exported").count() == 1


def test_reading_changes_nothing_but_for_the_event(life):
    exported = export(life)
    with unchanged():
        list(exported.pictures())


def test_picture_that_cannot_be_read_is_named(life, monkeypatch):
    def down(_name):
        raise StorageUnavailable(60)

    monkeypatch.setattr(vault, "fetch", down)
    exported = export(life)
    assert list(exported.pictures()) == []
    assert len(exported.data["unreadable"]) == 2


def test_purged_picture_is_no_failure(life):
    travel(timedelta(days=100))
    purges.purge()
    exported = export(life)
    assert list(exported.pictures()) == []
    assert exported.data["unreadable"] == []
