"""Lock-out that cannot be abused (ATT-4): what fails in one place shuts no other, and guessing still has an end."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tests.api.client import Api, batch_order, batches, checkouts, member, nothing_changes, order, refused
from tests.api.phones import activate
from tests.factories import PASSWORD, account, token_of, wrong_token
from tests.stories import deliver_due, stored
from twofa.channels.memory import outbox
from twofa.flows import login_budgets
from twofa.models import (
    AccessToken,
    Authenticator,
    Challenge,
    Delivery,
    Device,
    Event,
    LoginBudget,
)

AMPLE = {
    "failed_attempts_per_day": 30000,
    "max_open_challenges": 1000,
    "sends_per_participant_per_day": 1000,
    "sends_per_destination_per_day": 1000,
}


@pytest.fixture(autouse=True)
def _no_messages():
    outbox.clear()


class Owner:
    """A participant with a password and a phone, whom their storefront serves in every way."""

    def __init__(self, **policy: Any) -> None:
        self.shop = factories.Shop(**policy)
        self.api = Api(factories.key(self.shop.storefront))
        self.name = account(self.shop.participant)

    def log_in(self, token: str | None = None, *, password: str = PASSWORD, by: Api | None = None) -> Any:
        body = {"username": self.name, "password": password, **({} if token is None else {"token": token})}
        return (by or self.api).post(f"/campaigns/{self.shop.campaign.slug}/login/", body)

    def asked(self) -> Challenge:
        """The login challenge that the right password leads to."""
        return Challenge.objects.get(pk=refused(self.log_in(), 401, "token_required")["challenge"]["id"])

    def open(self, family: str) -> tuple[Challenge, str]:
        """A new challenge of one family, and where it is answered."""
        if family == "login":
            opened = self.api.post(f"{member(self.shop)}challenges/", {"purpose": "login"}).json()
            return Challenge.objects.get(pk=opened["id"]), f"/challenges/{opened['id']}/verify/"
        if family == "step_up":
            opened = self.api.post(f"{member(self.shop)}challenges/", {"purpose": "step_up:transfer"}).json()
            return Challenge.objects.get(pk=opened["id"]), f"/challenges/{opened['id']}/verify/"
        if family == "device":
            factories.device(self.shop.participant, "email", is_default=False)
            spare = Device.objects.filter(participant=self.shop.participant, channel="email").latest("pk")
            opened = self.api.post(f"/devices/{spare.uuid}/make-default/").json()["authorization"]
            return Challenge.objects.get(pk=opened["id"]), f"/devices/{spare.uuid}/authorize/"
        of, body, where = (
            (batches, batch_order, "redemption-batches") if family == "batch" else (checkouts, order, "redemptions")
        )
        opened = self.api.post(of(self.shop), body(self.shop)).json()
        pk = opened["two_factor"]["challenge"]["id"]
        return Challenge.objects.get(pk=pk), f"/{where}/{opened['id']}/confirm/"

    def fail(self, challenge: Challenge, path: str) -> Any:
        return self.api.post(path, {"token": wrong_token(challenge)})

    def burn(self, family: str) -> None:
        """Fail until nothing of that family is judged any more."""
        for _number in range(30):
            challenge, path = self.open(family)
            answer = self.fail(challenge, path)
            while answer.json()["code"] == "token_invalid":
                answer = self.fail(challenge, path)
            if answer.json()["code"] == "failed_attempts_budget":
                return
        pytest.fail(f"{family} has no end")


# --- one family leaves the others as they are -------------------------------------------------------------------------


FAMILIES = ["redemption", "batch", "step_up", "device"]


@pytest.mark.django_db
@pytest.mark.parametrize("burnt", FAMILIES)
def test_failures_elsewhere_never_lock_a_login(burnt):
    owner = Owner(failed_attempts_per_day=4)
    owner.burn(burnt)
    assert owner.log_in(token_of(owner.asked())).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("asked", FAMILIES)
def test_failures_in_logins_never_lock_anything_else(asked):
    owner = Owner(failed_attempts_per_day=4)
    challenge, path = owner.open(asked)
    owner.burn("login")
    assert owner.api.post(path, {"token": token_of(challenge)}).status_code == 200
    assert owner.open(asked)[0].status == "pending"


@pytest.mark.django_db
def test_failures_at_a_members_address_before_an_account_never_lock_their_login():
    """Anybody may type somebody else's address where accounts are made."""
    owner = Owner(failed_attempts_per_day=4)
    sent = {"channel": "sms", "address": owner.shop.device.address}
    opened = owner.api.post(f"/campaigns/{owner.shop.campaign.slug}/contact-verifications/", sent).json()
    challenge = Challenge.objects.get(pk=opened["id"])
    for _guess in range(6):
        owner.fail(challenge, f"/challenges/{opened['id']}/verify/")
    assert challenge.purpose == "contact"
    assert Device.objects.get().failures == 0
    assert owner.log_in(token_of(owner.asked())).status_code == 200


# --- whoever does not know the password -------------------------------------------------------------------------------

MOVES = [
    "wrong password", "wrong password with a token", "challenge without a key", "challenge by another campaign",
    "challenge by another storefront", "login by another campaign", "unknown name", "token as a key", "not their app",
]  # fmt: skip


class Attacker:
    """Who knows a member's name, and the ids of what waits for them; but neither their password nor a key."""

    def __init__(self, owner: Owner, challenge: Challenge) -> None:
        self.owner, self.challenge = owner, challenge
        campaign = owner.shop.campaign
        self.partner = Api(factories.key(factories.storefront(campaign)))
        self.neighbour = Api(factories.key(factories.storefront(factories.campaign())))
        self.app = Api(factories.access_token(owner.shop, factories.participant(campaign)))

    def move(self, name: str, guess: str) -> Any:
        verify, owner = f"/challenges/{self.challenge.pk}/verify/", self.owner
        login = f"/campaigns/{owner.shop.campaign.slug}/login/"
        moves = {
            "wrong password": lambda: owner.log_in(password="guess"),
            "wrong password with a token": lambda: owner.log_in(guess, password="guess"),
            "challenge without a key": lambda: Api().post(verify, {"token": guess}),
            "challenge by another campaign": lambda: self.neighbour.post(verify, {"token": guess}),
            "challenge by another storefront": lambda: self.partner.post(verify, {"token": guess}),
            "login by another campaign": lambda: owner.log_in(guess, by=self.neighbour),
            "unknown name": lambda: owner.api.post(login, {"username": "x", "password": "guess", "token": guess}),
            "token as a key": lambda: Api(guess).post(verify, {"token": guess}),
            "not their app": lambda: self.app.post(verify, {"token": guess}),
        }
        return moves[name]()


def untouched(owner: Owner) -> Any:
    rows = stored()
    kept = ("Challenge", "Delivery", "Device", "Authenticator", "RecoveryCode", "Event", "Redemption", "LoginGrant")
    return [rows[name] for name in kept], AccessToken.objects.count(), len(outbox)


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    moves=st.lists(st.tuples(st.sampled_from(MOVES), st.booleans()), min_size=1, max_size=19), is_asked=st.booleans()
)
def test_who_has_no_password_uses_up_nothing_and_sends_nothing(moves, is_asked):
    """Whatever they try, in whatever order, also with the right token, and the owner gets in after it."""
    owner = Owner()
    challenge = owner.asked() if is_asked else factories.step_up(owner.shop)
    attacker, before = Attacker(owner, challenge), untouched(owner)
    right, wrong = token_of(challenge), wrong_token(challenge)
    for name, is_right in moves:
        assert attacker.move(name, right if is_right else wrong).status_code in {401, 404}, name
    assert untouched(owner) == before
    assert owner.log_in(right if is_asked else token_of(owner.asked())).status_code == 200


@pytest.mark.django_db
def test_passwords_guessed_to_their_end_lock_no_order_no_challenge_and_no_other_storefront():
    owner = Owner()
    challenge = owner.asked()
    open_orders = [owner.open(family) for family in ("redemption", "step_up")]
    partner = Api(factories.key(factories.storefront(owner.shop.campaign)))
    before = untouched(owner)
    for _guess in range(login_budgets.MOST_FAILURES):
        refused(owner.log_in(password="guess"), 401, "invalid_credentials")
    refused(owner.log_in(token_of(challenge)), 429, "throttled")
    assert untouched(owner) == before
    for opened, path in open_orders:
        assert owner.api.post(path, {"token": token_of(opened)}).status_code == 200
    Challenge.objects.update(
        issued_at=F("issued_at") - timedelta(minutes=1), created_at=F("created_at") - timedelta(minutes=1)
    )
    refused(owner.log_in(by=partner), 401, "token_required")
    LoginBudget.objects.update(since=F("since") - login_budgets.WINDOW)
    assert owner.log_in(token_of(challenge)).status_code == 200


# --- a hundred in a row -----------------------------------------------------------------------------------------------


def fail_in_a_row(owner: Owner, number: int) -> None:
    """Wrong tokens that each cost an attempt, over challenges of many purposes."""
    purposes = itertools.cycle(["redemption", "login", "step_up", "batch"])
    done = 0
    while done < number:
        challenge, path = owner.open(next(purposes))
        for _attempt in range(min(challenge.max_attempts, number - done)):
            assert owner.fail(challenge, path).json()["code"] in {"token_invalid", "attempts_exhausted"}
            done += 1


@pytest.mark.django_db(transaction=True)
def test_hundredth_failure_in_a_row_holds_the_device_and_its_owner_is_told():
    owner = Owner(**AMPLE)
    mail = factories.device(owner.shop.participant, "email")
    fail_in_a_row(owner, 99)
    phone = Device.objects.get(pk=owner.shop.device.pk)
    assert (phone.failures, phone.is_held) == (99, False)
    challenge, path = owner.open("redemption")
    right = token_of(challenge)
    Delivery.objects.all().delete()

    refused(owner.fail(challenge, path), 422, "token_invalid")

    phone.refresh_from_db()
    assert (phone.failures, phone.is_held) == (100, True)
    assert Event.objects.get(type="device.held").data["reason"] == "too_many_failures"
    deliver_due()
    assert [(message.event, message.recipient) for message in outbox] == [("device.held", mail.address)]
    with nothing_changes():
        refused(owner.api.post(path, {"token": right}), 409, "onboarding_incomplete")


@pytest.mark.django_db
def test_right_token_after_ninety_nine_begins_the_count_anew():
    owner = Owner(**AMPLE)
    fail_in_a_row(owner, 99)
    challenge, path = owner.open("redemption")
    assert owner.api.post(path, {"token": token_of(challenge)}).status_code == 200
    fail_in_a_row(owner, 99)
    phone = Device.objects.get(pk=owner.shop.device.pk)
    assert (phone.failures, phone.is_held) == (99, False)


@pytest.mark.django_db
def test_hundredth_wrong_code_in_a_row_holds_the_app_and_its_owner_is_told():
    owner = Owner(**AMPLE)
    _device, app = activate(owner.api, owner.shop)
    phone = factories.device(owner.shop.participant)
    Delivery.objects.all().delete()
    body = {"purpose": "step_up:transfer", "channel": "totp"}
    for number in range(100):
        if number % 5 == 0:
            opened = owner.api.post(f"{member(owner.shop)}challenges/", body).json()
        assert not Authenticator.objects.get().is_held, number
        told = owner.api.post(f"/challenges/{opened['id']}/verify/", {"token": app.wrong_code()}).json()
        assert told["code"] in {"token_invalid", "attempts_exhausted"}, told
        Authenticator.objects.update(failed_at=None)
    held = Authenticator.objects.get()
    assert (held.is_held, held.failures) == (True, 100)
    deliver_due()
    assert [(message.event, message.recipient) for message in outbox] == [("authenticator.held", phone.address)]
    with nothing_changes():
        refused(owner.api.post(f"{member(owner.shop)}challenges/", body), 409, "onboarding_incomplete")
    # The phone is another factor, and lets its owner in.
    assert owner.log_in(token_of(owner.asked())).status_code == 200
