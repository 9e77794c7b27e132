"""Where a campaign demands an identity, no redemption is opened or approved without one."""

from __future__ import annotations

import pytest

from tests import factories
from tests.factories import token_of
from tests.papers import decide, submitted
from tests.stories import STAFF, confirm, refused, unchanged
from twofa.exceptions import OnboardingIncomplete, WrongState
from twofa.flows import devices, onboarding, participants, reviews
from twofa.models import Challenge, DocumentFile, Event, IdentityDocument, Participant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]


@pytest.fixture
def shop(shop):
    return demanding(shop, "cnh:front")


def demanding(shop, *documents: str):
    shop.campaign.identity_required = True
    shop.campaign.required_documents = list(documents)
    shop.campaign.save()
    shop.participant.campaign = shop.campaign
    return shop


def prove(shop) -> IdentityDocument:
    return decide(submitted(shop.participant, "cnh", "front"), approve=True)


def missing_of(refusal) -> tuple[list[str], str]:
    return refusal.value.params["missing"], refusal.value.params["next_action"].type


# --- at the checkout --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["off", "optional", "required"])
def test_redemption_is_refused_until_a_person_has_approved(shop, mode):
    type(shop.campaign).objects.update(two_factor_mode=mode)
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal) == (["document:cnh:front"], "onboarding")
    document = submitted(shop.participant, "cnh", "front")
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal) == (["document:cnh:front"], "wait")
    decide(document, approve=True)
    assert shop.open().status in ("completed", "pending_2fa_approval")


def test_redemption_is_refused_after_a_rejection(shop):
    decide(submitted(shop.participant, "cnh", "front"), approve=False)
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal) == (["document:cnh:front"], "onboarding")


def test_final_rejection_leaves_nothing_to_do(shop):
    decide(submitted(shop.participant, "cnh", "front"), approve=False, is_final=True)
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal) == (["document:cnh:front"], "none")


def test_refusal_for_good_is_of_the_whole_paper(shop):
    decide(submitted(shop.participant, "cnh", "front"), approve=True)
    decide(submitted(shop.participant, "cnh", "back", colour="blue"), approve=False, is_final=True)
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal) == (["document:cnh:front"], "none")
    for side in ("front", "back", "single"):
        with refused(WrongState):
            submitted(shop.participant, "cnh", side, colour="green")
    submitted(shop.participant, "rg", colour="green")


def test_refusal_for_good_can_be_taken_back_by_staff(shop):
    document = decide(submitted(shop.participant, "cnh", "front"), approve=False, is_final=True)
    reviews.reopen(document, reviewer=factories.staff(), actor=STAFF, reason="Wrong person's file was open")
    decide(submitted(shop.participant, "cnh", "front", colour="blue"), approve=True)
    assert onboarding.refusal(shop.participant) is None
    with refused(WrongState):
        reviews.reopen(document, reviewer=factories.staff(), actor=STAFF, reason="Once more")


def test_all_that_is_missing_is_told_at_once(shop):
    shop.device.delete()
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal) == (["device", "document:cnh:front"], "onboarding")


def test_campaign_that_names_no_document_asks_for_any(shop):
    demanding(shop)
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert missing_of(refusal)[0] == ["document"]
    decide(submitted(shop.participant, "passport"), approve=True)
    assert shop.open().status == "pending_2fa_approval"


def test_proof_of_another_participant_proves_nothing(shop):
    other = factories.participant(shop.campaign)
    decide(submitted(other, "cnh", "front"), approve=True)
    with refused(OnboardingIncomplete):
        shop.open()


def test_proof_outlives_its_file(shop):
    document = prove(shop)
    document.move(status="purged", purged_at=document.decided_at)
    assert shop.open().status == "pending_2fa_approval"


# --- at the confirmation ----------------------------------------------------------------------------------------------


def test_right_token_does_not_approve_where_the_proof_was_voided_meanwhile(shop):
    document = prove(shop)
    redemption = shop.open()
    token = token_of(redemption.challenge)
    reviews.revoke(document, reviewer=factories.staff(), actor=shop.actor, reason="Forged")
    with unchanged(), pytest.raises(OnboardingIncomplete) as refusal:
        confirm(shop, redemption, token)
    assert missing_of(refusal) == (["document:cnh:front"], "onboarding")
    assert Challenge.objects.get(pk=redemption.challenge.pk).attempts == 0
    decide(submitted(shop.participant, "cnh", "front", colour="blue"), approve=True)
    assert confirm(shop, redemption, token).status == "completed"


def test_wrong_token_costs_nothing_and_tells_nothing_without_a_proof(shop):
    document = prove(shop)
    redemption = shop.open()
    reviews.revoke(document, reviewer=factories.staff(), actor=shop.actor, reason="Forged")
    with unchanged(), pytest.raises(OnboardingIncomplete):
        confirm(shop, redemption, factories.wrong_token(redemption.challenge))


@pytest.mark.parametrize("changes", [{"name": "Another Name"}, {"document_number": "529.982.247-25"}])
def test_what_staff_compared_may_not_change_without_another_look(shop, changes):
    prove(shop)
    redemption = shop.open()
    participants.enroll(campaign=shop.campaign, external_id=shop.participant.external_id, actor=shop.actor, **changes)
    with unchanged(), pytest.raises(OnboardingIncomplete):
        confirm(shop, redemption, token_of(redemption.challenge))
    assert Event.objects.get(type="document.expired").data["reason"] == "details_changed"
    assert Participant.objects.get(pk=shop.participant.pk).onboarded_at is None


def test_same_name_again_voids_nothing(shop):
    prove(shop)
    participants.enroll(
        campaign=shop.campaign,
        external_id=shop.participant.external_id,
        actor=shop.actor,
        name=shop.participant.name,
        locale="es",
    )
    assert onboarding.refusal(shop.participant) is None


@pytest.mark.parametrize("left", [0, 1])
def test_reset_of_the_last_device_asks_for_the_identity_again(shop, left):
    document = prove(shop)
    if left:
        factories.device(shop.participant, "email")
    devices.reset(shop.device, actor=STAFF, reason="Phone lost, said somebody on the telephone")
    document.refresh_from_db()
    assert document.decision == ("approved" if left else "expired")
    missing = onboarding.read(shop.participant).missing
    assert missing == ([] if left else ["device", "document:cnh:front"])
    assert Event.objects.filter(type="document.expired", data__reason="device_reset").count() == 1 - left


def test_reset_of_the_last_device_ends_what_waits_too(shop):
    """The owner's papers wait in the queue, somebody talks support into the reset, and is approved by them."""
    document = submitted(shop.participant, "cnh", "front")
    devices.reset(shop.device, actor=STAFF, reason="Phone lost, said somebody on the telephone")
    with refused(WrongState):
        reviews.decide(
            document.pk,
            reviews.Ruling(approve=True),
            seen=reviews.declared(shop.participant),
            reviewer=factories.staff(),
            actor=STAFF,
        )
    assert onboarding.read(shop.participant).missing == ["device", "document:cnh:front"]
    assert not DocumentFile.objects.kept().exists()


def test_reset_ends_approvals_that_nothing_demands_yet(shop):
    document = prove(shop)
    type(shop.campaign).objects.update(identity_required=False)
    devices.reset(type(shop.device).objects.get(), actor=STAFF, reason="Phone lost, said somebody on the telephone")
    document.refresh_from_db()
    assert document.decision == "expired"


# --- noted once -------------------------------------------------------------------------------------------------------


def test_participant_who_has_everything_is_noted_once(shop):
    demanding(shop, "cnh:front", "selfie")
    prove(shop)
    assert not Event.objects.filter(type="participant.onboarded").exists()
    decide(submitted(shop.participant, "selfie", colour="blue"), approve=True)
    decide(submitted(shop.participant, "rg", colour="green"), approve=True)
    assert Event.objects.filter(type="participant.onboarded").count() == 1
    assert Participant.objects.get(pk=shop.participant.pk).onboarded_at is not None
