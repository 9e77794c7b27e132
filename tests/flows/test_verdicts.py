from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.stories import cancel, confirm, deliver_due, points, refused, reject, tamper, travel
from twofa.channels.memory import outbox
from twofa.exceptions import ChallengeClosed, TokenExpired, TokenInvalid, TransactionChanged, TwoFactorError
from twofa.flows import facts, redemptions, sweeps, verdicts
from twofa.flows.history import WORKER, Trail
from twofa.models import Challenge, Event, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

MILLISECOND = timedelta(milliseconds=1)


# --- boundaries, on the clock that the verdict is given ---------------------------------------------------------------


@pytest.fixture
def sent(shop) -> Challenge:
    """A challenge whose token was handed off."""
    redemption = shop.open()
    deliver_due()
    return Challenge.objects.select_related("campaign", "redemption").get(redemption=redemption)


def judge(challenge: Challenge, token: object, at) -> TwoFactorError | None:
    standing = replace(facts.standing(challenge), at=at)
    trail = Trail(WORKER, at)
    digest = challenge.redemption.digest()
    return verdicts.attempt(challenge, token, digest=digest, standing=standing, trail=trail)


@pytest.mark.parametrize(
    ("shift", "expired"), [(-MILLISECOND, False), (timedelta(0), True), (MILLISECOND, True)], ids=str
)
def test_token_is_judged_until_the_instant_of_its_expiry(sent, shift, expired):
    error = judge(sent, sent.derive_token(), sent.expires_at + shift)
    assert isinstance(error, TokenExpired) is expired
    assert Challenge.objects.get(pk=sent.pk).attempts == (0 if expired else 1)


@pytest.mark.parametrize(
    ("shift", "ended"), [(-MILLISECOND, False), (timedelta(0), True), (MILLISECOND, True)], ids=str
)
def test_challenge_is_judged_until_the_instant_of_its_deadline(sent, shift, ended):
    tamper(sent, expires_at=sent.deadline + timedelta(hours=1), issued_at=sent.deadline)
    sent.refresh_from_db()
    error = judge(sent, sent.derive_token(), sent.deadline + shift)
    assert isinstance(error, ChallengeClosed) is ended
    assert Challenge.objects.get(pk=sent.pk).status == ("expired" if ended else "approved")


def test_device_may_approve_from_the_instant_of_its_use(sent):
    standing = facts.standing(sent)
    for shift, usable in ((-MILLISECOND, False), (timedelta(0), True), (MILLISECOND, True)):
        assert replace(standing, at=standing.device_usable_from + shift).device_usable is usable


# --- what is compared, and how often ----------------------------------------------------------------------------------


def test_nothing_is_compared_beyond_the_last_attempt(shop, monkeypatch):
    compared = []
    judge_of_the_model = Challenge.judge
    monkeypatch.setattr(Challenge, "judge", lambda self, token: compared.append(1) or judge_of_the_model(self, token))
    redemption = shop.open()
    for _ in range(12):
        with pytest.raises(TwoFactorError):
            confirm(shop, redemption, wrong_token_of_closed(redemption))
    assert len(compared) == 5


def wrong_token_of_closed(redemption: Redemption) -> str:
    challenge = Challenge.objects.get(redemption=redemption)
    return "000000" if challenge.is_final else wrong_token(challenge)


def test_attempts_are_charged_by_the_policy_of_the_checkout(shop):
    shop.campaign.max_attempts = 2
    shop.campaign.save()
    redemption = shop.open()
    shop.campaign.max_attempts = 5
    shop.campaign.save()
    reject(shop, redemption, 2)
    assert points(redemption) == ("rejected", "released")


def test_every_ending_erases_the_seeds(shop):
    ends = {
        "approved": lambda redemption: confirm(shop, redemption, token_of(redemption.challenge)),
        "rejected": lambda redemption: reject(shop, redemption, 5),
        "cancelled": lambda redemption: cancel(shop, redemption),
        "expired": lambda redemption: (travel(timedelta(hours=1)), redemptions.expire(redemption.pk)),
    }
    for status, end in ends.items():
        redemption = shop.open()
        end(redemption)
        challenge = Challenge.objects.get(redemption=redemption)
        assert (challenge.status, challenge.seed, bytes(challenge.superseded)) == (status, None, b"")
        assert (challenge.accepted is not None) is (status == "approved")
        assert Event.objects.filter(type=f"challenge.{status}", challenge=challenge).count() == 1


# --- the row is not what the token was issued for ---------------------------------------------------------------------

ITEMS = [{"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}]
EDITS = [
    {"amount": "150.01"},
    {"amount": "0.01"},
    {"unit": "miles"},
    {"description": "Gift card"},
    {"order_id": "A-other"},
    {"items": json.dumps([{**ITEMS[0], "sku": "HP-2"}])},
    {"items": json.dumps([{**ITEMS[0], "quantity": 2}])},
    {"items": json.dumps([])},
    {"items": json.dumps(None)},
    {"items": json.dumps([{}])},
    {"items": json.dumps("x")},
    {"participant_id": "other"},
    {"storefront_id": "other"},
    {"campaign_id": "other"},
]


def edit(shop, redemption: Redemption, columns: dict[str, object]) -> None:
    others = {
        "participant_id": lambda: factories.participant(shop.campaign).pk,
        "storefront_id": lambda: factories.storefront(shop.campaign).pk,
        "campaign_id": lambda: factories.campaign().pk,
    }
    tamper(redemption, **{name: others[name]() if value == "other" else value for name, value in columns.items()})


@pytest.mark.parametrize("columns", EDITS, ids=str)
def test_row_that_was_written_to_is_cancelled_whatever_token_is_given(shop, columns):
    redemption = shop.open(items=ITEMS)
    token = token_of(redemption.challenge)
    edit(shop, redemption, columns)
    storefront = Redemption.objects.get(pk=redemption.pk).storefront
    with pytest.raises(TransactionChanged):
        redemptions.confirm(redemption.pk, storefront=storefront, token=token, amount=None, actor=shop.actor)
    assert points(redemption) == ("cancelled", "released")
    challenge = Challenge.objects.get(redemption=redemption)
    assert (challenge.status, challenge.attempts, challenge.seed) == ("cancelled", 0, None)
    assert Event.objects.filter(type="redemption.tampered", redemption=redemption).count() == 1
    assert RecordingBackend.count("complete") == 0
    assert RecordingBackend.count("release") == 1
    with refused(ChallengeClosed):
        redemptions.confirm(redemption.pk, storefront=storefront, token=token, amount=None, actor=shop.actor)


@pytest.mark.parametrize("columns", EDITS, ids=str)
def test_row_that_was_written_to_after_its_approval_is_never_completed(shop, columns):
    redemption = shop.open(items=ITEMS)
    RecordingBackend.failures["complete"] = iter([TimeoutError()])
    confirm(shop, redemption, token_of(redemption.challenge))
    edit(shop, redemption, columns)
    travel(timedelta(minutes=1))
    sweeps.sweep()
    # The call that timed out may have spent the points: they are not given back by the machine, but parked.
    assert points(redemption) == ("approved", "reserved")
    assert Redemption.objects.get(pk=redemption.pk).parked_at is not None
    assert RecordingBackend.count("complete") == 1, "the one that timed out"
    assert RecordingBackend.count("release") == 0


@pytest.mark.parametrize("columns", [{"items": json.dumps([{}])}, {"amount": "1.00"}], ids=str)
def test_row_that_was_written_to_still_ends_in_time(shop, columns):
    """Nobody confirms it: it expires, is cancelled, gives its points back, and stops no sweep on its way."""
    overdue, cancelled = shop.open(items=ITEMS), shop.open(items=ITEMS)
    for redemption in (overdue, cancelled):
        edit(shop, redemption, columns)
    cancel(shop, cancelled)
    travel(timedelta(hours=1))
    sweeps.sweep()
    assert points(overdue) == ("expired", "released")
    assert points(cancelled) == ("cancelled", "released")


@pytest.mark.parametrize(
    "columns",
    [
        {"address": "+5511999990000"},
        {"channel": "whatsapp"},
        {"purpose": "redemption", "generation": 7},
        {"seed": bytes(32)},
    ],
    ids=str,
)
def test_challenge_that_was_written_to_knows_the_old_token_no_more(shop, columns):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    tamper(redemption.challenge, **columns)
    with pytest.raises(TokenInvalid):
        confirm(shop, redemption, token)
    assert points(redemption) == ("pending_2fa_approval", "reserved")


def test_digest_that_was_written_to_is_told_as_a_changed_transaction(shop):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    tamper(redemption.challenge, transaction_digest=bytes(32))
    with pytest.raises(TransactionChanged):
        confirm(shop, redemption, token)
    assert points(redemption) == ("cancelled", "released")


def test_forged_approval_does_not_complete(shop):
    """Whoever writes the status must also know a digest that is nowhere but in our code, and then the right one."""
    redemption = shop.open()
    Redemption.objects.update(status="approved", approved_digest=bytes(32), due_at=now())
    sweeps.sweep()
    assert points(redemption) == ("failed", "released")
    assert RecordingBackend.count("complete") == 0


def test_tampering_before_the_message_is_told_by_no_message(shop):
    """The text names what the row says when it is sent: the token of the old content cannot approve it any more."""
    redemption = shop.open()
    tamper(redemption, amount="0.01")
    deliver_due()
    with pytest.raises(TransactionChanged):
        confirm(shop, redemption, outbox[0].token if len(outbox) else "000000", Decimal("0.01"))


def test_refusals_hold_no_token_and_no_address(shop, canary):
    redemption = shop.open()
    right = token_of(redemption.challenge)
    told = []
    for token in ("x", wrong_token(redemption.challenge)):
        with pytest.raises(TwoFactorError) as refusal:
            confirm(shop, redemption, token)
        told += [str(refusal.value), repr(refusal.value), repr(refusal.value.params), str(refusal.value.detail)]
    assert right in canary.tokens
    assert canary.found_in(told) == []
    assert shop.device.address not in "".join(told)
