"""Budgets by families of purposes: what is burnt in one of them leaves the others as they are."""

from __future__ import annotations

import itertools
import json
from uuid import uuid4

import pytest
from django.db import connection

from tests import factories
from tests.factories import step_up, token_of, wrong_token
from tests.stories import confirm, refused, stored
from twofa.exceptions import FailedAttemptsBudget, TokenInvalid, TooManyOpenChallenges
from twofa.flows import batches, challenges, devices, facts
from twofa.models import Challenge, Device, Event, Family, Purpose, family_of, in_family
from twofa.models.purpose import family_sql

pytestmark = pytest.mark.django_db

PURPOSES = [*Purpose.values, "step_up:transfer", "step_up:login", "step_up:redemption"]
PAIRS = list(itertools.product(["redemption", "batch", "device", "login", "step_up:a"], repeat=2))


def opened(shop, purpose) -> Challenge:
    """An open challenge of a purpose, for the shop's participant."""
    if purpose == Purpose.REDEMPTION:
        return shop.open().challenge
    if purpose == Purpose.BATCH:
        return shop.open_batch().challenge
    if purpose == Purpose.DEVICE:
        mail = factories.device(shop.participant, "email")
        Device.objects.filter(pk=mail.pk).update(is_default=False)
        return devices.make_default(mail, storefront=shop.storefront, actor=shop.actor).authorization
    return step_up(shop, purpose)


def answer(shop, challenge, token) -> None:
    """Type a token where one of this purpose is typed."""
    told = {"storefront": shop.storefront, "token": token, "actor": shop.actor}
    if challenge.redemption is not None:
        confirm(shop, challenge.redemption, token)
    elif challenge.batch is not None:
        batches.confirm(challenge.batch_id, amount=None, **told)
    elif challenge.subject is not None:
        devices.authorize(challenge.subject, **told)
    else:
        challenges.verify(challenge.pk, **told)


def fail(shop, challenge) -> None:
    with pytest.raises(TokenInvalid):
        answer(shop, challenge, wrong_token(challenge))


def allow(shop, **policy) -> None:
    type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(**policy)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_family_is_the_same_in_python_and_in_both_ways_of_asking_the_database(shop, purpose):
    challenge = shop.open().challenge
    Challenge.objects.filter(pk=challenge.pk).update(
        purpose=purpose,
        redemption=challenge.redemption_id if purpose == "redemption" else None,
        action="revoke" if purpose == "device" else "",
        batch=factories.ended_batch(shop) if purpose == "batch" else None,
    )
    family = family_of(purpose)
    assert [f for f in Family if Challenge.objects.filter(in_family(f)).exists()] == [family]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {family_sql('purpose')} FROM twofa_challenge")
        assert cursor.fetchall() == [(family.value,)]


@pytest.mark.parametrize(("burnt", "asked"), PAIRS)
def test_wrong_tokens_of_one_purpose_stop_those_of_its_family_alone(burnt, asked):
    shop = factories.Shop()
    challenge = opened(shop, asked)
    fail(shop, opened(shop, burnt) if burnt != asked else challenge)
    allow(shop, failed_attempts_per_day=1)
    right = token_of(challenge)
    if family_of(burnt) == family_of(asked):
        with refused(FailedAttemptsBudget):
            answer(shop, challenge, right)
    else:
        answer(shop, challenge, right)
        assert Challenge.objects.get(pk=challenge.pk).status == "approved"


@pytest.mark.parametrize(("burnt", "asked"), PAIRS)
def test_wrong_tokens_keep_those_of_their_family_alone_from_being_opened(burnt, asked):
    shop = factories.Shop()
    fail(shop, opened(shop, burnt))
    Challenge.objects.update(status="cancelled", seed=None, superseded=b"", ended_at="2026-01-01T00:00:00Z")
    Device.objects.filter(channel="email").delete()
    allow(shop, failed_attempts_per_day=1)
    if family_of(burnt) == family_of(asked):
        before = Challenge.objects.count()
        with pytest.raises(FailedAttemptsBudget):
            opened(shop, asked)
        assert Challenge.objects.count() == before
    else:
        assert opened(shop, asked).status == "pending"


@pytest.mark.parametrize(("waiting", "asked"), PAIRS)
def test_open_challenges_of_one_purpose_take_the_places_of_its_family_alone(waiting, asked):
    shop = factories.Shop(max_open_challenges=1)
    opened(shop, waiting)
    Device.objects.filter(channel="email").delete()
    if family_of(waiting) == family_of(asked) != Family.DEVICES:
        before = stored()
        with pytest.raises(TooManyOpenChallenges):
            opened(shop, asked)
        assert stored() == before
    elif family_of(waiting) != Family.DEVICES or asked != "device":
        assert opened(shop, asked).status == "pending"


def test_failures_of_each_family_are_counted_apart(shop):
    for number, purpose in enumerate(("redemption", "batch", "login", "step_up:a", "step_up:b", "device"), start=1):
        challenge = opened(shop, purpose)
        for _again in range(min(number, 4)):
            fail(shop, challenge)
    of = {"participant": shop.participant, "campaign": shop.campaign, "contact": shop.device}
    counted = {family.value: facts.budgets(**of, family=family).failed_attempts for family in Family}
    assert counted == {"orders": 1 + 2, "access": 3, "step_up": 4 + 4, "devices": 4}
    for challenge in Challenge.objects.all():
        assert facts.standing(challenge).failed_attempts == counted[family_of(challenge.purpose)]


def read_rows(plan) -> int:
    """How many rows a plan's nodes took from their tables and indexes, those it threw away too."""
    thrown = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0)
    return plan["Actual Rows"] * plan["Actual Loops"] + thrown + sum(read_rows(part) for part in plan.get("Plans", ()))


def challenges_like(row, number) -> list[Challenge]:
    """Store so many more of a challenge."""
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return Challenge.objects.bulk_create(Challenge(**{**values, "id": uuid4()}) for _ in range(number))


def test_failures_are_counted_without_reading_those_of_others(shop):
    """However many there are: by the participant's events of the day, and then by the keys of their challenges."""
    if connection.vendor != "postgresql":
        pytest.skip("plans are PostgreSQL's")
    fail(shop, opened(shop, "redemption"))
    (failed,) = Event.objects.filter(type="challenge.attempt_failed", participant=shop.participant)
    told = {"type": failed.type, "created_at": failed.created_at, "actor_kind": failed.actor_kind}
    others = challenges_like(opened(shop, "step_up:other"), 2000)
    Event.objects.bulk_create(
        Event(**told, participant_id=10**6 + i, challenge=other) for i, other in enumerate(others)
    )
    sql = facts._failed_attempts(str(shop.participant.pk), "'orders'")
    known = {
        "{event}": "twofa_event AS event",
        "{failed}": "twofa_challenge AS failed",
        "{yesterday}": "now() - interval '24 hours'",
    }
    for name, text in known.items():
        sql = sql.replace(name, text)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE twofa_event, twofa_challenge")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT {sql}")
        ((explained,),) = cursor.fetchall()
    (plan,) = json.loads(explained) if isinstance(explained, str) else explained
    assert "Seq Scan" not in json.dumps(plan)
    assert read_rows(plan["Plan"]) < 20
