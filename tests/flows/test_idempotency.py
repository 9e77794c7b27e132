from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.canary import disguises
from tests.stories import refused, stored, travel
from twofa.exceptions import IdempotencyInProgress, IdempotencyKeyReused, TokenMalformed
from twofa.flows import idempotency
from twofa.flows.idempotency import Answer
from twofa.models import IdempotencyRecord

pytestmark = pytest.mark.django_db

DONE = Answer(201, '{"id": 1}', "application/json", stored=True)
NOT_KEPT = Answer(400, '{"code": "invalid"}', "application/problem+json", stored=False)


class Call:
    """A view's one call: counted."""

    def __init__(self, *outcomes: Answer | BaseException) -> None:
        self.outcomes = iter(outcomes)
        self.times = 0

    def __call__(self) -> Answer:
        self.times += 1
        outcome = next(self.outcomes, DONE)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def run(shop, call, **changes) -> tuple[Answer, bool]:
    request = {"storefront": shop.storefront, "path": "/a/", "key": "k-1", "body": {"amount": "1.00"}, **changes}
    return idempotency.run(call, **request)


def test_same_key_gives_the_first_answer_again_and_does_nothing(shop):
    call = Call()
    assert run(shop, call) == (DONE, False)
    assert run(shop, call) == (DONE, True)
    assert call.times == 1


@pytest.mark.parametrize("change", [{"path": "/b/"}, {"key": "k-2"}, {"key": "K-1"}, {"storefront": "other"}], ids=str)
def test_key_is_one_storefronts_on_one_path(shop, change):
    call = Call()
    run(shop, call)
    if "storefront" in change:
        change = {"storefront": factories.storefront(shop.campaign)}
    assert run(shop, call, **change) == (DONE, False)
    assert call.times == 2


@pytest.mark.parametrize(
    "body",
    [
        {"amount": "1.0"},
        {"amount": 1},
        {"amount": 1.0},
        {"amount": True},
        {"amount": None},
        {"amount": ["1.00"]},
        {"Amount": "1.00"},
        {"amount": "1.00", "b": None},
        {},
        [],
        None,
        ["object", ["amount", "1.00"]],
        "",
    ],
    ids=str,
)
def test_key_with_another_body_is_refused(shop, body):
    call = Call()
    run(shop, call)
    with refused(IdempotencyKeyReused):
        run(shop, call, body=body)
    assert call.times == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0, False),
        (None, "None"),
        ([], {}),
        ([["a", 1]], {"a": 1}),
        (["float", "1.5"], 1.5),
        ({"a": {"b": 1}}, {"a": ["b", 1]}),
        ("1", 1),
        (0.0, -0.0),
        ("\ud800", "\udfff"),
    ],
    ids=ascii,
)
def test_bodies_that_differ_have_different_fingerprints(shop, one, other):
    run(shop, Call(), body=one)
    with refused(IdempotencyKeyReused):
        run(shop, Call(), body=other)


def test_order_of_members_is_no_difference(shop):
    run(shop, Call(), body={"a": 1, "b": {"c": 2, "d": 3}})
    assert run(shop, Call(), body={"b": {"d": 3, "c": 2}, "a": 1})[1]


def test_answer_that_is_not_kept_leaves_the_key_free(shop):
    call = Call(NOT_KEPT)
    assert run(shop, call) == (NOT_KEPT, False)
    assert not IdempotencyRecord.objects.exists()
    assert run(shop, call, body={"amount": "2.00"}) == (DONE, False)


@pytest.mark.parametrize("error", [TokenMalformed(), RuntimeError("x"), KeyboardInterrupt()], ids=repr)
def test_call_that_raises_leaves_the_key_free(shop, error):
    call = Call(error)
    with refused(type(error)):
        run(shop, call)
    assert run(shop, call) == (DONE, False)


def test_running_request_keeps_others_of_its_key_away(shop):
    inner = []

    def call() -> Answer:
        with pytest.raises(IdempotencyInProgress) as refusal:
            run(shop, Call())
        inner.append(refusal.value.params["retry_after"])
        return DONE

    assert run(shop, call) == (DONE, False)
    assert inner == [1]


def crash(shop) -> None:
    """A process that claimed the key and was killed."""
    run(shop, Call())
    IdempotencyRecord.objects.update(answered_at=None, status=None, body="", content_type="")


def test_claim_of_a_dead_process_frees_itself_after_a_minute(shop):
    crash(shop)
    travel(timedelta(seconds=59))
    with refused(IdempotencyInProgress):
        run(shop, Call())
    travel(timedelta(seconds=1))
    call = Call()
    assert run(shop, call, body={"another": "body"}) == (DONE, False)
    assert run(shop, call, body={"another": "body"}) == (DONE, True)
    assert call.times == 1


def test_slow_process_whose_claim_was_taken_over_overwrites_nothing(shop):
    later = Answer(201, '{"id": 2}', "application/json", stored=True)

    def slow() -> Answer:
        travel(timedelta(seconds=61))
        assert run(shop, Call(later)) == (later, False)
        return DONE

    assert run(shop, slow) == (DONE, False)
    assert run(shop, Call()) == (later, True)


def test_slow_process_that_fails_after_a_takeover_deletes_nothing(shop):
    def slow() -> Answer:
        travel(timedelta(seconds=61))
        run(shop, Call())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(shop, slow)
    assert run(shop, Call()) == (DONE, True)


def test_answer_is_forgotten_after_a_day(shop):
    run(shop, Call())
    travel(timedelta(hours=23, minutes=59))
    assert run(shop, Call())[1]
    travel(timedelta(minutes=1))
    assert run(shop, Call(), body={"new": 1}) == (DONE, False)


def test_fingerprint_outlives_a_rotation_of_keys(shop, settings):
    run(shop, Call())
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32)), **settings.TWOFA_TOKEN_KEYS}
    assert run(shop, Call())[1]
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32))}
    with refused(IdempotencyKeyReused):
        run(shop, Call())


def test_token_in_a_body_is_in_no_column(shop):
    """A plain hash of a 30-bit token at rest is the token."""
    run(shop, Call(), body={"token": "7K2M9Q"})
    dump = str(stored()) + str([bytes(row.fingerprint).hex() for row in IdempotencyRecord.objects.all()])
    assert not [disguise for disguise in disguises("7K2M9Q") if disguise in dump]
