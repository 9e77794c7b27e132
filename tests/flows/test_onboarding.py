from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from twofa.flows import onboarding
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def test_onboarding_tells_what_is_missing(shop):
    assert onboarding.read(shop.participant).status == "complete"
    bare = factories.participant(shop.campaign)
    found = onboarding.read(bare)
    assert (found.status, found.required, found.missing) == ("incomplete", ["device"], ["device"])
    assert found.next_action.type == "onboarding"
    shop.campaign.identity_required = True
    shop.campaign.required_documents = ["cpf", "cnh:front"]
    shop.participant.campaign = shop.campaign
    assert onboarding.read(shop.participant).missing == ["document:cpf", "document:cnh:front"]


def test_device_that_cools_off_is_still_missing(shop):
    type(shop.device).objects.update(usable_from=now() + timedelta(hours=1))
    assert onboarding.read(shop.participant).missing == ["device"]


@pytest.mark.parametrize(
    ("mode", "method", "required"),
    [("off", "sms", []), ("optional", "none", []), ("optional", "sms", ["device"]), ("required", "none", ["device"])],
)
def test_device_is_required_where_somebody_is_asked(shop, mode, method, required):
    shop.participant.campaign.two_factor_mode = mode
    shop.participant.two_factor_method = method
    assert onboarding.read(shop.participant).required == required
