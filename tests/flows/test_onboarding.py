from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories, papers
from tests.stories import STAFF, refused
from twofa.exceptions import OnboardingIncomplete
from twofa.flows import devices, methods, onboarding, reviews
from twofa.models import Event, Participant
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


# --- noted ------------------------------------------------------------------------------------------------------------


def onboarded(shop) -> int:
    return Event.objects.filter(type="participant.onboarded", participant=shop.participant).count()


def demand(shop, *documents: str) -> None:
    shop.campaign.identity_required, shop.campaign.required_documents = bool(documents), list(documents)
    shop.campaign.save()


def test_participant_who_is_complete_again_is_noted_again(shop, documents_folder):
    demand(shop, "cnh:front")
    papers.decide(papers.submitted(shop.participant, "cnh", "front"), approve=True)
    assert onboarded(shop) == 1
    # The campaign asks for more: they are not complete until that is approved as well.
    demand(shop, "cnh:front", "selfie")
    selfie = papers.submitted(shop.participant, "selfie", colour="blue")
    assert Participant.objects.get(pk=shop.participant.pk).onboarded_at is None
    papers.decide(selfie, approve=True)
    assert onboarded(shop) == 2


def test_refusal_that_is_taken_back_may_complete_the_onboarding(shop, documents_folder):
    demand(shop, "cnh:front")
    papers.decide(papers.submitted(shop.participant, "cnh", "front"), approve=True)
    back = papers.decide(papers.submitted(shop.participant, "cnh", "back", colour="blue"), approve=False, is_final=True)
    assert Participant.objects.get(pk=shop.participant.pk).onboarded_at is None
    reviews.reopen(back, reviewer=factories.staff(), actor=STAFF, reason="The wrong file was open")
    assert onboarded(shop) == 2


def test_method_decides_whether_a_device_is_asked_for(shop):
    shop.campaign.two_factor_mode = "optional"
    shop.campaign.save()
    methods.set_method(shop.participant, method="sms", by=factories.staff(), actor=STAFF, reason="Asked by telephone")
    assert onboarded(shop) == 1
    assert Participant.objects.get(pk=shop.participant.pk).onboarded_at is not None


def test_reset_of_a_device_that_was_never_verified_voids_nothing(shop, documents_folder):
    demand(shop, "cnh:front")
    shop.device.delete()
    document = papers.decide(papers.submitted(shop.participant, "cnh", "front"), approve=True)
    pending = factories.device(
        shop.participant, status="pending", confirmed=False, is_default=False, usable_from=None, activated_at=None
    )
    devices.reset(pending, actor=STAFF, reason="A number with a typing error")
    document.refresh_from_db()
    assert document.decision == "approved"


def test_next_action_is_the_same_at_the_checkout_and_in_the_onboarding(shop, documents_folder):
    demand(shop, "cnh:front")
    papers.submitted(shop.participant, "cnh", "front")
    type(shop.device).objects.update(usable_from=now() + timedelta(hours=1))
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    participant = Participant.objects.select_related("campaign").get(pk=shop.participant.pk)
    assert refusal.value.params["next_action"] == onboarding.read(participant).next_action
    assert refusal.value.params["next_action"].type == "wait"


def test_where_any_document_is_taken_one_that_was_refused_leaves_the_others(shop, documents_folder):
    shop.campaign.identity_required = True
    shop.campaign.save()
    papers.decide(papers.submitted(shop.participant, "passport"), approve=False, is_final=True)
    shop.participant.campaign = shop.campaign
    found = onboarding.read(shop.participant)
    assert (found.status, found.next_action.type) == ("incomplete", "onboarding")
    papers.decide(papers.submitted(shop.participant, "cnh", colour="blue"), approve=True)
    assert onboarding.read(shop.participant).status == "complete"
