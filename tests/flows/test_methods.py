from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests import factories
from tests.factories import token_of
from tests.stories import STAFF, confirm, deliver_due, refused
from twofa.channels.memory import outbox
from twofa.exceptions import OnboardingIncomplete, PolicyRefused, WrongState
from twofa.flows import methods, participants
from twofa.models import Campaign, Challenge, Device, Event, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

REASON = "asked for by voice, identity checked"


@pytest.fixture
def maria():
    return get_user_model().objects.create_user("maria", is_staff=True)


def set_method(shop, by, method: str) -> Participant:
    return methods.set_method(shop.participant, method=method, by=by, actor=STAFF, reason=REASON)


def stored(shop) -> str:
    return Participant.objects.values_list("two_factor_method", flat=True).get(pk=shop.participant.pk)


def notices(event: str) -> list[str]:
    deliver_due()
    messages = [message for message in outbox if message.event == event]
    assert {message.token for message in messages} <= {""}
    return sorted(message.recipient for message in messages)


# --- by staff ---------------------------------------------------------------------------------------------------------


def test_staff_give_another_method_with_a_reason_and_every_contact_is_told(shop, maria):
    mail = factories.device(shop.participant, "email")
    factories.device(
        shop.participant, "whatsapp", status="pending", confirmed=False, activated_at=None, usable_from=None
    )
    assert set_method(shop, maria, "email").two_factor_method == "email"
    event = Event.objects.get(type="participant.method_changed")
    assert (event.actor_kind, event.actor, event.participant_id) == ("staff", "maria", shop.participant.pk)
    assert event.data == {"before": "none", "after": "email", "reason": REASON}
    assert notices("participant.method_changed") == sorted([shop.device.address, mail.address])
    assert all(mail.destination.rpartition("@")[0][0] in message.text for message in outbox)
    assert shop.open().challenge.device_id == mail.pk, "tokens go there"


def test_staff_switch_two_factor_off_with_a_reason_and_every_contact_is_told(shop, maria):
    mail = factories.device(shop.participant, "email")
    set_method(shop, maria, "email")
    methods.switch_off(shop.participant, by=maria, actor=STAFF, reason=REASON)
    assert stored(shop) == "none"
    event = Event.objects.get(type="participant.switched_off")
    assert (event.actor, event.data) == ("maria", {"before": "email", "reason": REASON})
    assert notices("participant.switched_off") == sorted([shop.device.address, mail.address])


def test_switches_choose_the_way_of_an_alarm_and_do_not_silence_it(shop, maria):
    mail = factories.device(shop.participant, "email")
    phone, both = shop.device.address, sorted([mail.address, shop.device.address])
    Campaign.objects.update(message_switches={"participant.method_changed/sms": False})
    set_method(shop, maria, "email")
    assert notices("participant.method_changed") == [mail.address]
    off = {f"participant.method_changed/{channel}": False for channel in ("sms", "whatsapp", "email")}
    Campaign.objects.update(message_switches=off)
    set_method(shop, maria, "sms")

    assert notices("participant.method_changed") == sorted([mail.address, *both])
    assert phone in both


def test_method_may_be_one_whose_verified_device_still_cools_off(shop, maria):
    factories.device(shop.participant, "email", usable_from=now() + timedelta(hours=1))
    assert set_method(shop, maria, "email").two_factor_method == "email"
    assert shop.open().challenge.device_id == shop.device.pk, "until then tokens go to what may be used"


def test_contact_that_cools_off_is_told_as_well(shop, maria):
    cooling = factories.device(shop.participant, "email", usable_from=now() + timedelta(hours=1))
    set_method(shop, maria, "sms")
    assert notices("participant.method_changed") == sorted([shop.device.address, cooling.address])


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(None, id="no device of its kind"),
        pytest.param(
            {"status": "pending", "confirmed": False, "activated_at": None, "usable_from": None}, id="pending"
        ),
        pytest.param({"status": "revoked", "confirmed": False}, id="revoked"),
    ],
)
def test_method_needs_a_verified_device_of_its_kind(shop, maria, columns):
    if columns is not None:
        factories.device(shop.participant, "email", **columns)
    with refused(OnboardingIncomplete) as refusal:
        set_method(shop, maria, "email")
    assert refusal.value.params["missing"] == ["device"]


def test_device_of_somebody_else_is_no_device_for_the_method(shop, maria):
    factories.device(factories.participant(shop.campaign), "email")
    with refused(OnboardingIncomplete):
        set_method(shop, maria, "email")


def test_authenticator_app_is_no_method_while_no_challenge_is_answered_with_one(shop, maria):
    TOTPDevice.objects.create(user=shop.participant.user, confirmed=True)
    with refused(OnboardingIncomplete):
        set_method(shop, maria, "totp")
    with refused(OnboardingIncomplete):
        participants.update(shop.participant, storefront=shop.storefront, actor=shop.actor, two_factor_method="totp")


@pytest.mark.parametrize("method", ["sms", "none"])
def test_nobody_changes_their_own_method(shop, method):
    """A stolen session of staff would do it for its own points; a superuser's as well."""
    Participant.objects.update(two_factor_method="email")
    own = shop.participant.user
    own.is_staff = own.is_superuser = True
    own.save()
    with refused(PolicyRefused):
        set_method(shop, own, method)


@pytest.mark.parametrize("method", ["sms", "none"])
def test_method_that_it_is_already_is_a_change_that_somebody_else_made(shop, maria, method):
    Participant.objects.update(two_factor_method=method)
    with refused(WrongState):
        set_method(shop, maria, method)


def test_open_redemption_keeps_the_token_it_was_opened_with(shop, maria):
    Campaign.objects.update(two_factor_mode="optional")
    set_method(shop, maria, "sms")
    redemption = shop.open()
    methods.switch_off(shop.participant, by=maria, actor=STAFF, reason=REASON)
    redemption.refresh_from_db()
    assert redemption.status == "pending_2fa_approval"
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "completed"
    assert not Challenge.objects.filter(redemption=shop.open()).exists()


# --- what the method does ---------------------------------------------------------------------------------------------

KINDS = ("sms", "whatsapp", "email")
DECISIONS = [
    # mode, method, channels of the devices -> status, reason, channel that the token goes to
    *[("off", method, KINDS, "completed", "campaign_off", None) for method in ("none", *KINDS)],
    ("off", "sms", (), "completed", "campaign_off", None),
    ("optional", "none", KINDS, "completed", "participant_opted_out", None),
    ("optional", "none", (), "completed", "participant_opted_out", None),
    *[("optional", kind, KINDS, "pending_2fa_approval", "participant_opted_in", kind) for kind in KINDS],
    ("optional", "email", ("sms",), "pending_2fa_approval", "participant_opted_in", "sms"),
    ("optional", "totp", ("sms",), "pending_2fa_approval", "participant_opted_in", "sms"),
    ("optional", "email", (), "onboarding_incomplete", None, None),
    ("required", "none", KINDS, "pending_2fa_approval", "campaign_required", "sms"),
    *[("required", kind, KINDS, "pending_2fa_approval", "campaign_required", kind) for kind in KINDS],
    ("required", "none", (), "onboarding_incomplete", None, None),
    ("required", "sms", (), "onboarding_incomplete", None, None),
]


@pytest.mark.parametrize(("mode", "method", "channels", "status", "reason", "channel"), DECISIONS)
def test_mode_and_method_decide_who_is_asked_and_where(mode, method, channels, status, reason, channel):
    shop = factories.Shop(two_factor_mode=mode)
    shop.device.delete()
    for kind in channels:
        factories.device(shop.participant, kind)
    Participant.objects.filter(pk=shop.participant.pk).update(two_factor_method=method)
    if status == "onboarding_incomplete":
        with refused(OnboardingIncomplete):
            shop.open()
        return
    redemption = shop.open()
    assert (redemption.status, redemption.two_factor_reason) == (status, reason)
    asked = Challenge.objects.filter(redemption=redemption).values_list("channel", flat=True)
    assert list(asked) == ([channel] if channel else [])


def test_method_of_new_participants_asks_them_for_a_device_first():
    """The default is stamped on whoever has no device yet: they redeem once they proved one."""
    shop = factories.Shop(two_factor_mode="optional", default_method="email")
    assert stored(shop) == "email"
    Device.objects.all().delete()
    with refused(OnboardingIncomplete) as refusal:
        shop.open()
    assert refusal.value.params["missing"] == ["device"]
