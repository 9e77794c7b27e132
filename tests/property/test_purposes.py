"""A token opens one door (TOK-7): all pairs of purposes, storefronts, campaigns and participants, and none left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.factories import token_of
from tests.stories import refused, stored
from twofa.exceptions import NotFound, PurposeMismatch, TokenInvalid, WrongState
from twofa.flows import batch_checkouts, batches, challenges, checkouts, contact_verifications, devices, participants
from twofa.flows import redemptions as orders
from twofa.flows.history import Actor
from twofa.flows.registrations import Proof
from twofa.models import Campaign, Challenge, Device, Participant, Redemption, Storefront, Verdict

pytestmark = pytest.mark.django_db

PHONE = "+5511999990034"
AMPLE = {
    "max_open_challenges": 1000,
    "failed_attempts_per_day": 30000,
    "sends_per_participant_per_day": 1000,
    "sends_per_destination_per_day": 1000,
    "resend_cooldown": timedelta(0),
}


@dataclass(frozen=True)
class Seat:
    """One participant, as one storefront serves them."""

    storefront: Storefront
    campaign: Campaign
    participant: Participant

    @property
    def told(self) -> dict[str, Any]:
        return {"storefront": self.storefront, "actor": Actor.storefront(self.storefront)}


@dataclass(frozen=True)
class Door:
    """One open challenge, and where its token is typed; ``name`` tells which of the seat's it is."""

    name: str
    seat: Seat
    challenge: Challenge
    enter: Callable[[str], Any]

    def __str__(self) -> str:
        return f"{self.name} of {self.seat.participant} at {self.seat.storefront} in {self.seat.campaign}"


def doors(seat: Seat) -> list[Door]:
    """Every kind of challenge, open for one seat, as like one another as they may be."""
    order = factories.Shop.order(seat)
    redemption = checkouts.open_redemption(order, campaign=seat.campaign.slug, **seat.told)[0]
    batch = batch_checkouts.open_batch(
        factories.Shop.batch_order(seat, "150.00"),
        campaign=seat.campaign.slug,
        **seat.told,
    )[0]
    own: dict[str, Any] = {"amount": None, **seat.told}
    found = [
        Door("redemption", seat, redemption.challenge, lambda t: orders.confirm(redemption.pk, token=t, **own)),
        Door("batch", seat, batch.challenge, lambda t: batches.confirm(batch.pk, token=t, **own)),
    ]
    spare = factories.device(seat.participant, "email")
    change = devices.make_default(spare, **seat.told).authorization
    added = devices.register(
        seat.participant, channel="email", address=f"{seat.storefront.pk}@example.com", **seat.told
    )
    fresh = devices.register(factories.participant(seat.campaign), channel="sms", address=PHONE, **seat.told)
    found += [
        Door("device: default", seat, change, lambda t: devices.authorize(spare, token=t, **seat.told)),
        Door("device: add", seat, added.authorization, lambda t: devices.authorize(added.device, token=t, **seat.told)),
        Door("device: verify", seat, fresh.challenge, lambda t: devices.verify(fresh.device, token=t, **seat.told)),
    ]  # fmt: skip
    address = f"contact-{seat.participant.pk}-{seat.storefront.pk}@example.com"
    contact = contact_verifications.open_verification(seat.campaign, channel="email", address=address, **seat.told)
    found += [standing_alone(seat, "contact", contact), *asked_for(seat)]
    return found


def asked_for(seat: Seat) -> list[Door]:
    opened = []
    for purpose in ("login", "step_up:a", "step_up:b"):
        ask = challenges.Ask(seat.participant.external_id, purpose)
        challenge = challenges.open_challenge(ask, campaign=seat.campaign.slug, **seat.told)
        opened.append(standing_alone(seat, purpose, challenge))
    return opened


def standing_alone(seat: Seat, name: str, challenge: Challenge) -> Door:
    return Door(name, seat, challenge, lambda t: challenges.verify(challenge.pk, token=t, **seat.told))


@pytest.fixture
def every_door(settings) -> list[Door]:
    """Two campaigns, two storefronts in the one and one of them in the other, three people, two with the same phone."""
    settings.TWOFA_PARTICIPANTS_PER_CONTACT = None
    settings.TWOFA_DEVICES_PER_PARTICIPANT = 20
    first, second = factories.campaign(**AMPLE), factories.campaign(**AMPLE)
    both, other = factories.storefront(first, second), factories.storefront(first)
    ana, bia, eva = (
        factories.participant(first, external_id="ana"),
        factories.participant(first, external_id="bia"),
        factories.participant(second, external_id="ana"),
    )
    for person in (ana, eva):
        factories.device(person, "sms", PHONE)
    factories.device(bia, "sms")
    seats = [Seat(both, first, ana), Seat(other, first, ana), Seat(both, first, bia), Seat(both, second, eva)]
    return [door for seat in seats for door in doors(seat)]


def states() -> list[tuple[Any, ...]]:
    rows = Challenge.objects.order_by("pk").values_list("pk", "status", "attempts", "generation")
    return [*rows, *Redemption.objects.order_by("pk").values_list("pk", "status", "points")]


def restore(door: Door) -> None:
    """Give back what the wrong token cost."""
    Challenge.objects.filter(pk=door.challenge.pk).update(attempts=0)
    Device.objects.update(failures=0)


def test_token_is_that_of_its_own_challenge_and_of_no_other(every_door):
    """All pairs, by the comparison that every flow ends in."""
    rows = [Challenge.objects.get(pk=door.challenge.pk) for door in every_door]
    tokens = [row.derive_token() for row in rows]
    assert len(rows) == 4 * 9
    for row, (place, token) in itertools.product(rows, enumerate(tokens)):
        assert (row.judge(token) is Verdict.RIGHT) == (row.pk == rows[place].pk)


def differ_in_one(one: Door, other: Door) -> bool:
    """Two purposes of one seat, or one purpose of two seats: what differs in more cannot be mistaken more easily."""
    return (one.name == other.name) != (one.seat == other.seat)


def test_token_opens_its_own_door_and_no_other(every_door):
    """Through the flows: with all that they look at before the comparison, and all that they do after it."""
    before = states()
    for of, door in itertools.product(every_door, repeat=2):
        if not differ_in_one(of, door):
            continue
        with pytest.raises(TokenInvalid):
            pytest.fail(f"the token of {of} opened {door}: {door.enter(token_of(of.challenge))}")
        assert Challenge.objects.get(pk=door.challenge.pk).attempts == 1, f"{of} at {door}"
        restore(door)
    assert states() == before


def test_each_door_is_opened_by_its_own_token(every_door):
    """Or else nothing would be shown by the doors that stayed shut."""
    for door in every_door:
        if door.name not in {"device: default", "device: verify"}:  # they change who answers the others
            door.enter(token_of(door.challenge))
            assert Challenge.objects.get(pk=door.challenge.pk).status == "approved", str(door)


def test_id_of_one_is_no_id_at_the_door_of_another(every_door):
    """Also with its own right token, and by its own storefront."""
    for door in every_door:
        token, pk, told = token_of(door.challenge), door.challenge.pk, door.seat.told
        with refused(NotFound):
            orders.confirm(pk, token=token, amount=None, **told)
        with refused(NotFound):
            batches.confirm(pk, token=token, amount=None, **told)
        if not door.challenge.stands_alone:
            with refused(PurposeMismatch):
                challenges.verify(pk, token=token, **told)
            with refused(PurposeMismatch):
                challenges.resend(pk, **told)
            with refused(PurposeMismatch):
                challenges.cancel(pk, **told)
        if door.name != "contact":
            with refused(PurposeMismatch):
                participants.register(
                    campaign=door.seat.campaign, external_id="new", name="New", proof=Proof(pk, token), **told
                )


def test_storefront_opens_no_door_of_another(every_door):
    """Whoever they serve, with the right token, at the right path."""
    for door in every_door:
        token, pk = token_of(door.challenge), door.challenge.pk
        for other in Storefront.objects.exclude(pk=door.seat.storefront.pk):
            told = {"storefront": other, "actor": Actor.storefront(other)}
            calls: dict[str, Callable[[], Any]] = {
                "redemption": lambda: orders.confirm(door.challenge.redemption_id, token=token, amount=None, **told),  # noqa: B023
                "batch": lambda: batches.confirm(door.challenge.batch_id, token=token, amount=None, **told),  # noqa: B023
                "device: default": lambda: devices.authorize(door.challenge.subject, token=token, **told),  # noqa: B023
                "device: add": lambda: devices.authorize(door.challenge.subject, token=token, **told),  # noqa: B023
                "device: verify": lambda: devices.verify(door.challenge.subject, token=token, **told),  # noqa: B023
            }
            call = calls.get(door.name, lambda: challenges.verify(pk, token=token, **told))  # noqa: B023
            with refused(NotFound, WrongState):
                call()


def test_django_otp_opens_a_session_by_no_token_but_a_logins(every_door):
    devices_of_people = list(Device.objects.all())
    for door in every_door:
        if door.name == "login":
            continue
        token = token_of(door.challenge)
        for device in devices_of_people:
            assert device.verify_token(token) is False
            Challenge.objects.filter(purpose="login").update(attempts=0)
    before = stored()
    assert {row["status"] for row in before["Challenge"]} == {"pending"}
