"""A secret opens its own entrance alone (TOK-7): all pairs, over HTTP, of what is typed and of where it is typed.

`test_purposes` asks the flows; here it is asked as a storefront would, also of what answers without a message.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import factories
from tests.api.client import Api, member, refused
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.property.entrances import Entrance, Furnished, Secret, caller, person, restore
from tests.property.test_purposes import AMPLE
from tests.stories import unchanged
from twofa.models import (
    AccessToken,
    Authenticator,
    Challenge,
    Delivery,
    Device,
    LoginGrant,
    Participant,
    RecoveryCode,
    Redemption,
    RedemptionBatch,
)

pytestmark = pytest.mark.django_db

PHONE = "+5511999990034"
NAMES = [
    "redemption", "batch", "device: default", "device: add", "device: verify", "registration", "contact", "login",
    "password and login", "step_up:a", "step_up:b", "by app", "app: confirm", "grant",
]  # fmt: skip
OWN = [
    *((name, name) for name in NAMES if name not in {"registration", "password and login", "by app", "app: confirm"}),
    ("contact", "registration"),
    ("login", "password and login"),
    ("code of the app", "by app"),
    ("code of a new app", "app: confirm"),
    *(("recovery code", name) for name in ("login", "step_up:a", "step_up:b", "by app", "password and login")),
]
"""Every secret, and each entrance that it opens."""


@pytest.fixture(autouse=True)
def ample(settings):
    settings.TWOFA_PARTICIPANTS_PER_CONTACT = None
    settings.TWOFA_DEVICES_PER_PARTICIPANT = 20


@pytest.fixture
def lone() -> Furnished:
    campaign = factories.campaign(**AMPLE)
    return Furnished(person(campaign, "ana").at(*caller(factories.storefront(campaign))))


@pytest.fixture
def everybody() -> list[Furnished]:
    """Two campaigns, a storefront in both and one in the first, three people, two of them with the same phone."""
    first, second = factories.campaign(**AMPLE), factories.campaign(**AMPLE)
    both, other = caller(factories.storefront(first, second)), caller(factories.storefront(first))
    ana, bia, eva = person(first, "ana", PHONE), person(first, "bia"), person(second, "ana", PHONE)
    found = [Furnished(seat) for seat in (ana.at(*both), ana.at(*other), bia.at(*both), eva.at(*both))]
    restore()
    return found


def entrances(of: list[Furnished]) -> list[Entrance]:
    return [entrance for furnished in of for entrance in furnished.entrances]


def secrets(of: list[Furnished]) -> list[Secret]:
    return [secret for furnished in of for secret in furnished.secrets]


def named(rows: Any, name: str) -> Any:
    return next(row for row in rows if row.name == name)


def state() -> Any:
    """What no wrong secret changes, whatever it costs."""
    return (
        list(Challenge.objects.order_by("pk").values_list("pk", "status", "generation", "accepted", "participant")),
        list(Redemption.objects.order_by("pk").values_list("pk", "status", "points")),
        list(RedemptionBatch.objects.order_by("pk").values_list("pk", "status")),
        list(Device.objects.order_by("pk").values_list("pk", "status", "is_default")),
        list(Authenticator.objects.order_by("pk").values_list("pk", "status", "last_step")),
        list(LoginGrant.objects.order_by("pk").values_list("pk", "used_at")),
        RecoveryCode.objects.filter(used_at=None).count(),
        [model.objects.count() for model in (AccessToken, Delivery, Participant)],
        len(RecordingBackend.calls),
    )


def ensure_shut(secret: Secret, entrance: Entrance) -> None:
    """The secret opens nothing there, and costs an attempt of nothing but what was to be opened."""
    answer = entrance.enter(secret.text())
    told = answer.json()
    assert answer.status_code in {400, 422}, f"{secret} opened {entrance}: {told}"
    assert told["code"] in {"token_invalid", "token_malformed"}, f"{secret} at {entrance}: {told}"
    charged = {
        str(pk): attempts for pk, attempts in Challenge.objects.filter(attempts__gt=0).values_list("pk", "attempts")
    }
    assert charged in ({}, {entrance.challenge: 1}), f"{secret} at {entrance}"
    restore()


def test_every_entrance_and_every_secret_is_in_the_table(lone):
    assert sorted(entrance.name for entrance in lone.entrances) == sorted(NAMES)
    opened = {(s.name, e.name) for s in lone.secrets for e in lone.entrances if s.opens(e)}
    assert opened == set(OWN)


@pytest.mark.parametrize(("secret", "entrance"), OWN)
def test_secret_opens_its_own_entrance(lone, secret, entrance):
    """Or else nothing would be shown by those that stayed shut."""
    before = state()
    answer = named(lone.entrances, entrance).enter(named(lone.secrets, secret).text())
    assert answer.status_code in {200, 201}, answer.json()
    assert state() != before


def test_secret_opens_no_other_entrance_of_its_seat(everybody):
    for furnished in everybody:
        before = state()
        for secret, entrance in itertools.product(furnished.secrets, furnished.entrances):
            if not secret.opens(entrance):
                ensure_shut(secret, entrance)
        assert state() == before, str(furnished.seat)


def test_secret_opens_the_same_entrance_of_nobody_else(everybody):
    """Of no other storefront's, no other participant's, no other campaign's, on the same phone or another."""
    before = state()
    for secret in secrets(everybody):
        for entrance in entrances(everybody):
            is_elsewhere = entrance.seat is not secret.seat
            if entrance.name in secret.entrances and is_elsewhere and not secret.opens(entrance):
                ensure_shut(secret, entrance)
    assert state() == before


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_secret_at_any_entrance_opens_what_is_its_own_alone(everybody, data):
    """What differs in more than one thing: too many pairs to try each, and in any order, one after another."""
    secret = data.draw(st.sampled_from(secrets(everybody)), label="secret")
    entrance = data.draw(st.sampled_from(entrances(everybody)), label="entrance")
    if not secret.opens(entrance):
        before = state()
        ensure_shut(secret, entrance)
        assert state() == before


# --- who is not entitled touches nothing ------------------------------------------------------------------------------

SHARED = {"device: default", "device: add", "device: verify", "app: confirm", "password and login", "grant"}
"""Of the participant, whom all storefronts of a campaign serve."""


def right(of: list[Furnished], entrance: Entrance) -> str:
    return next(secret.text() for secret in secrets(of) if secret.opens(entrance))


def test_right_secret_from_another_storefront_touches_nothing(everybody):
    stranger = Api(factories.key(factories.storefront(factories.campaign())))
    stranger.get("/campaigns/")
    for entrance in entrances(everybody):
        token = right(everybody, entrance)
        with unchanged():
            refused(entrance.enter(token, stranger), 404, "not_found")
        if entrance.name in SHARED:
            continue
        for other in (furnished.seat for furnished in everybody):
            if other.storefront != entrance.seat.storefront:
                with unchanged():
                    refused(entrance.enter(token, other.api), 404, "not_found")


def test_token_of_a_device_is_answered_by_the_storefront_that_asked_for_it(everybody):
    """Others of the campaign serve the same device, and are told that nothing of theirs waits there."""
    ana_at_both, ana_at_other = everybody[:2]
    for name in ("device: default", "device: add", "device: verify"):
        entrance = named(ana_at_both.entrances, name)
        with unchanged():
            refused(entrance.enter(right(everybody, entrance), ana_at_other.seat.api), 409, "wrong_state")


def test_right_secret_without_a_key_touches_nothing(everybody):
    for entrance in entrances(everybody):
        token = right(everybody, entrance)
        for nobody in (Api(), Api("twofa_at_000000000000_x"), Api(token)):
            with unchanged():
                refused(entrance.enter(token, nobody), 401, "not_authenticated")


def test_right_secret_in_the_app_of_another_participant_touches_nothing(everybody):
    """With an access token of their own, for the same storefront and campaign."""
    thief = factories.participant(everybody[0].seat.campaign, external_id="eve")
    shop = everybody[0].seat
    own = Api(factories.access_token(shop, thief))
    refused(own.get(member(shop)), 404, "not_found")
    for entrance in entrances(everybody):
        token = right(everybody, entrance)
        with unchanged():
            refused(entrance.enter(token, own), 404, "not_found")


def test_participants_own_app_answers_no_challenge_that_a_storefront_asked(everybody):
    """It would be asked by whoever has it, and answer itself."""
    seat = everybody[0].seat
    own = Api(factories.access_token(seat))
    own.get(member(seat))
    for name in ("login", "step_up:a", "step_up:b", "by app", "contact", "registration", "password and login"):
        entrance = named(everybody[0].entrances, name)
        with unchanged():
            refused(entrance.enter(right(everybody, entrance), own), 404, "not_found")


# --- the id of one at the path of another -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name != "app: confirm"])
def test_id_of_a_challenge_is_no_id_elsewhere(lone, name):
    """Also with its own right token, and by its own storefront."""
    pk, api, seat = named(lone.entrances, name).challenge, lone.seat.api, lone.seat
    purpose = Challenge.objects.get(pk=pk).purpose
    token = named(lone.secrets, "grant").text() if name == "grant" else right([lone], named(lone.entrances, name))
    proof = {"name": "Eve", "contact_verification": {"challenge_id": pk, "token": token}}
    with unchanged():
        for path in (f"/redemptions/{pk}/confirm/", f"/redemption-batches/{pk}/confirm/", f"/devices/{pk}/verify/"):
            refused(api.post(path, {"token": token}), 404, "not_found")
        refused(api.post(f"/devices/{pk}/authorize/", {"token": token}), 404, "not_found")
        if purpose in {"redemption", "batch", "device"}:
            for verb, body in (("verify", {"token": token}), ("resend", None), ("cancel", None)):
                refused(api.post(f"/challenges/{pk}/{verb}/", body), 409, "purpose_mismatch")
        if purpose != "contact":
            refused(api.put(member(seat, "eve"), proof), 409, "purpose_mismatch")


def test_token_of_a_registration_is_spent_by_it(lone):
    """A grant is one login of the one whom it registered: not another account, and not a second login."""
    entrance, token = named(lone.entrances, "grant"), named(lone.secrets, "grant").text()
    proof = {"name": "Eve", "contact_verification": {"challenge_id": entrance.challenge, "token": token}}
    with unchanged():
        refused(lone.seat.api.put(member(lone.seat, "eve"), proof), 409, "challenge_closed")
    assert entrance.enter(token).status_code == 200
    assert entrance.enter(token).status_code == 401
    assert AccessToken.objects.count() == 1


def test_agreement_of_one_purpose_is_none_to_another(lone):
    """What was answered for a login, or for another change, adds no factor and prints no codes."""
    api, seat = lone.seat.api, lone.seat
    answered = [
        named(lone.entrances, name).enter(named(lone.secrets, name).text()).json()["id"]
        for name in ("login", "step_up:a", "contact")
    ]
    opened = api.post(f"{member(seat)}challenges/", {"purpose": "step_up:authenticator_add", "channel": "sms"}).json()
    token = token_of(Challenge.objects.get(pk=opened["id"]))
    with unchanged():
        refused(api.post(f"{member(seat)}recovery-codes/", {"authorization": opened["id"]}), 400, "invalid")
    api.post(f"/challenges/{opened['id']}/verify/", {"token": token})
    with unchanged():
        for agreed in answered:
            refused(api.post(f"{member(seat)}devices/", {"channel": "totp", "authorization": agreed}), 400, "invalid")
        for agreed in [*answered, opened["id"]]:
            refused(api.post(f"{member(seat)}recovery-codes/", {"authorization": agreed}), 400, "invalid")
