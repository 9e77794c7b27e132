from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from tests import factories
from tests.models.violations import copy, tamper, violates

pytestmark = pytest.mark.django_db


def test_external_id_is_unique_in_its_campaign(shop):
    other = factories.participant(shop.campaign)
    with violates("external_id"):
        tamper(other, external_id=shop.participant.external_id)
    factories.participant(factories.campaign(), external_id=shop.participant.external_id)


def test_user_is_one_participant_of_a_campaign(shop):
    with violates("user"):
        copy(shop.participant, external_id="other")


def test_document_number_is_unique_in_its_campaign_and_may_be_left_out(shop):
    one, other = factories.participant(shop.campaign), factories.participant(shop.campaign)
    tamper(one, document_number="52998224725")
    with violates("document"):
        tamper(other, document_number="52998224725")


@pytest.mark.parametrize("external_id", ["", ".", "..", "a b", "a/b", "á", "a\n", "a\x00", "x" * 129])
def test_external_id_outside_of_the_contract_is_refused(shop, external_id):
    shop.participant.external_id = external_id
    with pytest.raises(ValidationError) as refused:
        shop.participant.full_clean()
    assert set(refused.value.message_dict) == {"external_id"}


@pytest.mark.parametrize("external_id", ["a", "...", ".a", "Ana+1@example.com:_-", "x" * 128])
def test_external_id_of_the_contract_is_kept(shop, external_id):
    shop.participant.external_id = external_id
    shop.participant.full_clean()
