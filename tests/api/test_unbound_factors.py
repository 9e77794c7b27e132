"""Challenges, logins and orders that are answered without a message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests import factories
from tests.api.client import batch_order, batches, checkouts, member, nothing_changes, order, refused
from tests.api.phones import Phone, activate, forget_steps
from tests.stories import travel
from twofa.models import Authenticator, Campaign, Challenge, Delivery, Event, Participant, RecoveryCode
from twofa.models.clock import now


@pytest.fixture
def owner(api, shop) -> tuple[dict[str, Any], Phone]:
    """A participant whose one device, and whose way, is an app."""
    found = activate(api, shop)
    Participant.objects.filter(pk=shop.participant.pk).update(two_factor_method="totp")
    return found


@pytest.fixture
def phone(owner) -> Phone:
    return owner[1]


@pytest.fixture
def codes(owner) -> list[str]:
    return owner[0]["recovery_codes"]


def ask(api, shop, purpose="login", **members) -> Any:
    return api.post(f"{member(shop)}challenges/", {"purpose": purpose, **members})


def answer(api, challenge, token) -> Any:
    return api.post(f"/challenges/{challenge['id']}/verify/", {"token": token})


# --- by an app --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"channel": "totp"}])
def test_challenge_by_an_app_sends_nothing(api, shop, phone, asked):
    body = ask(api, shop, **asked).json()
    assert (body["status"], body["channel"], body["destination"], body["delivery"]) == ("pending", "totp", "", None)
    assert (body["token_length"], body["expires_at"]) == (6, body["deadline"])
    assert body["next_action"]["type"] == "confirm_token"
    assert bytes(Challenge.objects.get(pk=body["id"]).seed) == b""
    assert not Delivery.objects.exists()
    assert answer(api, body, phone.code()).json()["status"] == "approved"


def test_app_answers_until_the_deadline(api, shop, phone):
    body = ask(api, shop).json()
    travel(timedelta(minutes=20))
    assert answer(api, body, phone.code()).json()["status"] == "approved"


def test_same_code_again_is_the_stored_state_and_opens_nothing_else(api, shop, phone):
    first, code = ask(api, shop).json(), phone.code()
    answer(api, first, code)
    with nothing_changes():
        assert answer(api, first, code).json()["status"] == "approved"
    second = ask(api, shop, "step_up:transfer").json()
    problem = refused(answer(api, second, code), 422, "token_invalid")
    assert problem["attempts_remaining"] == 4
    assert Challenge.objects.get(pk=second["id"]).status == "pending"


def test_wrong_code_is_charged_to_the_challenge_and_to_the_app(api, shop, phone):
    body = ask(api, shop).json()
    refused(answer(api, body, phone.wrong_code()), 422, "token_invalid")
    assert (Challenge.objects.get().attempts, Authenticator.objects.get().failures) == (1, 1)
    with nothing_changes():
        refused(answer(api, body, phone.code()), 429, "throttled")
    forget_steps()
    assert answer(api, body, phone.code()).json()["status"] == "approved"
    assert Authenticator.objects.get().failures == 0


def test_last_wrong_code_rejects_the_challenge(api, shop, phone):
    body = ask(api, shop).json()
    Challenge.objects.update(attempts=4)
    refused(answer(api, body, phone.wrong_code()), 422, "attempts_exhausted")
    assert Challenge.objects.get().status == "rejected"


def test_malformed_code_costs_nothing(api, shop, phone):
    body = ask(api, shop).json()
    with nothing_changes():
        for token in ("12345", "ABCDEF", None, 123456):
            refused(answer(api, body, token), 400, "token_malformed")


def test_held_app_answers_nothing(api, shop, phone):
    body = ask(api, shop).json()
    Authenticator.objects.update(held_at=now(), confirmed=False)
    with nothing_changes():
        refused(answer(api, body, phone.code()), 409, "onboarding_incomplete")


def test_held_app_gives_way_to_a_contact(api, shop, phone):
    Authenticator.objects.update(held_at=now(), confirmed=False)
    factories.device(shop.participant)
    assert ask(api, shop).json()["channel"] == "sms"
    with nothing_changes():
        refused(ask(api, shop, channel="totp"), 409, "onboarding_incomplete")


def test_owner_of_a_held_app_still_has_recovery_codes(api, shop, phone, codes):
    Authenticator.objects.update(held_at=now(), confirmed=False)
    body = ask(api, shop).json()
    assert answer(api, body, codes[0]).json()["status"] == "approved"
    RecoveryCode.objects.all().delete()
    with nothing_changes():
        refused(ask(api, shop), 409, "onboarding_incomplete")


def test_app_is_named_by_its_id_as_well(api, shop, owner):
    factories.device(shop.participant)
    assert ask(api, shop, device=owner[0]["id"]).json()["channel"] == "totp"


@pytest.mark.parametrize("channel", ["totp", "otp"])
def test_who_has_none_of_that_kind_is_told_apart(api, shop, channel):
    with nothing_changes():
        assert refused(ask(api, shop, channel=channel), 404, "not_found")["resource"] == "device"
        unknown = api.post(f"{member(shop, 'nobody')}challenges/", {"purpose": "login", "channel": channel})
        assert refused(unknown, 404, "not_found")["resource"] == "participant"


def test_app_is_not_sent_to_but_a_message_takes_its_place(api, shop, phone):
    factories.device(shop.participant)
    body = ask(api, shop).json()
    with nothing_changes():
        refused(api.post(f"/challenges/{body['id']}/resend/"), 422, "channel_unavailable")
    sent = api.post(f"/challenges/{body['id']}/resend/", {"channel": "sms"}).json()
    assert (sent["channel"], sent["token_length"], sent["expires_at"]) == ("sms", 6, None)
    challenge = Challenge.objects.get()
    assert (challenge.token_alphabet, Delivery.objects.count()) == ("alphanumeric", 1)
    refused(answer(api, body, phone.code()), 422, "token_invalid")
    assert answer(api, body, factories.token_of(challenge)).json()["status"] == "approved"


def test_challenge_by_message_takes_no_code_of_an_app(api, shop, phone):
    factories.device(shop.participant)
    body = ask(api, shop, channel="sms").json()
    refused(answer(api, body, phone.code()), 422, "token_invalid")
    assert Authenticator.objects.get().last_step == 0


# --- by a recovery code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["login", "step_up:transfer"])
def test_recovery_code_answers_once_and_every_contact_is_told(api, shop, codes, purpose):
    factories.device(shop.participant)
    body = ask(api, shop, purpose).json()
    assert answer(api, body, codes[0].lower()).json()["status"] == "approved"
    assert list(Delivery.objects.values_list("event", flat=True)) == ["recovery_codes.used"]
    with nothing_changes():
        assert answer(api, body, codes[0]).json()["status"] == "approved"
        refused(answer(api, body, codes[1]), 409, "challenge_closed")
    second = ask(api, shop, purpose).json()
    refused(answer(api, second, codes[0]), 422, "token_invalid")
    assert api.get(f"{member(shop)}recovery-codes/").json() == {"left": 9}


def test_recovery_code_answers_where_the_message_never_came(api, shop, codes):
    device = factories.device(shop.participant)
    body = ask(api, shop, channel="sms").json()
    device.change(held_at=now(), confirmed=False)
    travel(timedelta(minutes=20))
    assert answer(api, body, codes[0]).json()["status"] == "approved"


def test_recovery_code_approves_no_order(api, shop, codes):
    factories.device(shop.participant)
    opened = api.post(checkouts(shop), order(shop)).json()
    with nothing_changes():
        refused(api.post(f"/redemptions/{opened['id']}/confirm/", {"token": codes[0]}), 400, "token_malformed")
    assert RecoveryCode.objects.filter(used_at=None).count() == 10


# --- by another django-otp device -------------------------------------------------------------------------------------


@pytest.fixture
def paper(shop) -> StaticDevice:
    """A host's own backup tokens."""
    device = StaticDevice.objects.create(user=shop.participant.user, name="paper", confirmed=True)
    device.token_set.create(token="abcd2345")
    return device


def test_other_device_answers_once(api, shop, paper):
    body = ask(api, shop, channel="otp").json()
    assert (body["channel"], body["delivery"]) == ("otp", None)
    assert answer(api, body, " abcd2345 ").json()["status"] == "approved"
    assert not paper.token_set.exists()
    assert not Delivery.objects.exists()


def test_wrong_code_of_another_device_is_charged_and_its_pause_holds(api, shop, paper):
    body = ask(api, shop, channel="otp").json()
    refused(answer(api, body, "wrong"), 422, "token_invalid")
    assert StaticDevice.objects.get().throttling_failure_count == 1
    problem = refused(answer(api, body, "abcd2345"), 429, "throttled")
    assert problem["retry_after"] == 1
    assert (Challenge.objects.get().attempts, paper.token_set.count()) == (1, 1)


def test_neither_ours_nor_unconfirmed_ones_are_other_devices(api, shop, phone):
    factories.device(shop.participant)
    TOTPDevice.objects.create(user=shop.participant.user, name="new", confirmed=False)
    with nothing_changes():
        refused(ask(api, shop, channel="otp"), 404, "not_found")


def test_broken_device_of_the_host_costs_nothing(api, shop, paper, monkeypatch):
    def broken(*_args):
        raise RuntimeError("a validation server is away")

    body = ask(api, shop, channel="otp").json()
    monkeypatch.setattr(StaticDevice, "verify_token", broken)
    with nothing_changes():
        refused(answer(api, body, "abcd2345"), 503, "unavailable")


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def allowed(shop):
    Campaign.objects.filter(pk=shop.campaign.pk).update(unbound_devices_approve=True)


def test_order_goes_by_message_unless_staff_say_otherwise(api, shop, phone):
    with nothing_changes():
        refused(api.post(checkouts(shop), order(shop)), 409, "onboarding_incomplete")
    factories.device(shop.participant)
    opened = api.post(checkouts(shop), order(shop)).json()
    assert opened["two_factor"]["challenge"]["channel"] == "sms"
    path = f"/redemptions/{opened['id']}/confirm/"
    refused(api.post(path, {"token": phone.code()}), 422, "token_invalid")
    assert Authenticator.objects.get().last_step == 0


def test_app_approves_an_order_where_staff_say_so(api, shop, phone, allowed):
    opened = api.post(checkouts(shop), order(shop)).json()
    asked = opened["two_factor"]["challenge"]
    assert (opened["status"], asked["channel"], asked["delivery"]) == ("pending_2fa_approval", "totp", None)
    assert opened["next_action"]["type"] == "confirm_token"
    assert not Delivery.objects.exists()
    code = phone.code()
    done = api.post(f"/redemptions/{opened['id']}/confirm/", {"token": code}).json()
    assert done["status"] == "completed"
    with nothing_changes():
        assert api.post(f"/redemptions/{opened['id']}/confirm/", {"token": code}).json()["status"] == "completed"


def test_code_of_one_order_approves_no_other(api, shop, phone, allowed):
    first, second = (api.post(checkouts(shop), order(shop)).json() for _number in range(2))
    code = phone.code()
    api.post(f"/redemptions/{first['id']}/confirm/", {"token": code})
    refused(api.post(f"/redemptions/{second['id']}/confirm/", {"token": code}), 422, "token_invalid")
    assert api.get(f"/redemptions/{second['id']}/").json()["status"] == "pending_2fa_approval"


def test_code_of_a_login_approves_no_order(api, shop, phone, allowed):
    code = phone.code()
    answer(api, ask(api, shop).json(), code)
    opened = api.post(checkouts(shop), order(shop)).json()
    refused(api.post(f"/redemptions/{opened['id']}/confirm/", {"token": code}), 422, "token_invalid")


def test_app_approves_a_batch_where_staff_say_so(api, shop, phone, allowed):
    opened = api.post(batches(shop), batch_order(shop)).json()
    assert opened["two_factor"]["challenge"]["channel"] == "totp"
    done = api.post(f"/redemption-batches/{opened['id']}/confirm/", {"token": phone.code()}).json()
    assert done["status"] == "completed"
    assert not Delivery.objects.exists()


def test_order_may_turn_to_a_message(api, shop, phone, allowed):
    factories.device(shop.participant)
    opened = api.post(checkouts(shop), order(shop)).json()
    sent = api.post(f"/redemptions/{opened['id']}/resend/", {"channel": "sms"}).json()
    assert sent["two_factor"]["challenge"]["channel"] == "sms"
    assert Delivery.objects.count() == 1


def test_named_channel_and_budget_of_messages_are_as_ever(api, shop, phone, allowed):
    factories.device(shop.participant)
    assert api.post(checkouts(shop), order(shop, channel="sms")).json()["two_factor"]["challenge"]["channel"] == "sms"
    Campaign.objects.update(sends_per_participant_per_day=1)
    assert api.post(checkouts(shop), order(shop)).status_code == 201


def test_onboarding_is_complete_with_an_app_that_approves(api, shop, phone, allowed):
    assert api.get(f"{member(shop)}onboarding/").json()["status"] == "complete"
    Campaign.objects.update(unbound_devices_approve=False)
    assert api.get(f"{member(shop)}onboarding/").json()["missing"] == ["device"]


# --- logins -----------------------------------------------------------------------------------------------------------


def log_in(api, shop, name, **members):
    body = {"username": name, "password": factories.PASSWORD, **members}
    return api.post(f"/campaigns/{shop.campaign.slug}/login/", body)


def test_login_asks_for_a_code_of_the_app(api, shop, phone):
    name = factories.account(shop.participant)
    asked = log_in(api, shop, name)
    refused(asked, 401, "token_required")
    assert asked["X-Two-Factor"] == "required; method=totp"
    Challenge.objects.update(issued_at=F("issued_at") - timedelta(minutes=2))
    with nothing_changes():
        again = refused(log_in(api, shop, name), 401, "token_required")
    assert again["challenge"] == asked.json()["challenge"]
    refused(log_in(api, shop, name, token=phone.wrong_code()), 422, "token_invalid")
    forget_steps()
    assert log_in(api, shop, name, token=phone.code()).json()["participant"] == shop.participant.external_id
    assert not Delivery.objects.exists()


def test_login_takes_a_recovery_code(api, shop, codes):
    name = factories.account(shop.participant)
    log_in(api, shop, name)
    assert log_in(api, shop, name, token=codes[3]).status_code == 200
    assert Event.objects.filter(type="recovery_codes.used").count() == 1
