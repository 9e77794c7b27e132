from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests import factories
from tests.models.violations import copy, tamper, violates
from twofa import tokens
from twofa.models import Challenge, Verdict
from twofa.models.clock import now
from twofa.models.ids import uuid7

T = datetime(2026, 11, 22, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def challenge(**columns) -> Challenge:
    given = {
        "id": uuid7(),
        "purpose": "redemption",
        "campaign_id": 1,
        "participant_id": 2,
        "transaction_digest": bytes(32),
        "channel": "sms",
        "address": "+5511999990034",
        "kid": "test",
        "seed": bytes(range(32)),
        "issued_at": T,
        "deadline": T + timedelta(minutes=30),
        "token_length": 6,
        "token_alphabet": "alphanumeric",
        "token_ttl": timedelta(minutes=5),
        "max_attempts": 5,
        "max_resends": 3,
        "resend_cooldown": timedelta(seconds=30),
        **columns,
    }
    return Challenge(**given)


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expiry"),
    [
        ({"expires_at": T + timedelta(minutes=5)}, timedelta(minutes=5)),
        ({}, timedelta(minutes=10)),
        ({"deadline": T + timedelta(minutes=3)}, timedelta(minutes=3)),
        ({"deadline": T + timedelta(minutes=3), "expires_at": T + timedelta(minutes=5)}, timedelta(minutes=3)),
    ],
    ids=str,
)
def test_token_dies_at_its_expiry_and_not_a_millisecond_before(columns, expiry):
    row = challenge(**columns)
    assert row.live_until == T + expiry
    assert not row.is_token_expired(T + expiry - MILLISECOND)
    assert row.is_token_expired(T + expiry)
    assert row.is_token_expired(T + expiry + MILLISECOND)


def test_deadline_itself_is_too_late():
    row = challenge()
    assert not row.is_past_deadline(row.deadline - MILLISECOND)
    assert row.is_past_deadline(row.deadline)
    assert row.is_past_deadline(row.deadline + MILLISECOND)


@pytest.mark.parametrize(
    ("handed_off", "expiry"),
    [(0, 300), (60, 360), (300, 600), (301, 600), (599, 600), (700, 600)],
)
def test_life_counts_from_the_hand_off_within_ten_minutes_of_issue(handed_off, expiry):
    row = challenge()
    assert row.expiry_of_hand_off(T + timedelta(seconds=handed_off)) == T + timedelta(seconds=expiry)


def test_life_ends_with_the_deadline():
    row = challenge(deadline=T + timedelta(minutes=2))
    assert row.expiry_of_hand_off(T) == row.deadline


def test_resend_becomes_available_after_the_pause():
    assert challenge().resend_available_at == T + timedelta(seconds=30)


def test_remaining_counts_are_never_negative():
    row = challenge(attempts=2, resends=5)
    assert (row.attempts_remaining, row.resends_remaining) == (3, 0)


# --- token ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "login"},
        {"campaign_id": 9},
        {"participant_id": 9},
        {"id": uuid7()},
        {"generation": 2},
        {"channel": "whatsapp"},
        {"address": "+5511999990035"},
        {"transaction_digest": bytes([1] * 32)},
        {"seed": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_token_is_bound_to_each_column(change):
    row = challenge(token_length=12)
    other = challenge(**{"id": row.id, "token_length": 12, **change})
    assert row.derive_token() != other.derive_token()


@pytest.mark.parametrize(
    "change",
    [{"attempts": 3}, {"resends": 2}, {"expires_at": T}, {"deadline": T}, {"max_attempts": 1}, {"status": "x"}],
    ids=str,
)
def test_token_is_the_same_for_each_delivery_of_a_generation(change):
    row = challenge()
    assert challenge(id=row.id, **change).derive_token() == row.derive_token()


def test_ended_challenge_has_no_token():
    with pytest.raises(ValueError, match="no token"):
        challenge(seed=None).derive_token()


def test_present_token_is_right_replaced_ones_are_superseded_and_others_wrong():
    row = challenge()
    replaced = []
    for generation in range(2, 5):
        replaced.append(row.derive_token())
        row.superseded, row.generation, row.seed = row.superseding(row.kid), generation, bytes([generation] * 32)
    assert row.judge(row.derive_token()) is Verdict.RIGHT
    assert [row.judge(token) for token in replaced] == [Verdict.SUPERSEDED] * 3
    assert row.judge("000000") is Verdict.WRONG
    assert len(row.superseded) == 3 * 32


def test_superseded_tokens_of_another_challenge_are_wrong():
    row, other = challenge(), challenge()
    other.superseded, other.generation = row.superseding(row.kid), 2
    assert other.judge(row.derive_token()) is Verdict.WRONG


def test_rotation_without_the_old_key_forgets_the_old_token(settings):
    row = challenge(superseded=bytes(32))
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(32)}
    assert row.superseding(row.kid) == bytes(32)


def test_accepted_token_is_recognised_and_no_other():
    row = challenge()
    token = row.derive_token()
    assert not row.was_accepted(token)
    row.accepted, row.seed = row.seal("accepted", token), None
    assert row.was_accepted(token)
    assert not row.was_accepted("000000")
    assert not challenge(accepted=row.accepted).was_accepted(token), "the seal is of one challenge"
    assert not challenge(id=row.id, accepted=row.seal("superseded", token)).was_accepted(token)


def test_nothing_is_recognised_without_the_key(settings):
    row = challenge()
    token = row.derive_token()
    row.accepted = row.seal("accepted", token)
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(32)}
    assert not row.was_accepted(token)
    with pytest.raises(tokens.UnknownKey):
        row.judge(token)


def test_no_text_of_a_challenge_holds_its_token_or_seed():
    row = challenge()
    for text in (str(row), repr(row), f"{row}"):
        assert row.derive_token() not in text
        assert row.seed.hex() not in text


# --- constraints ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"attempts": 6}, "twofa_challenge_attempts"),
        ({"max_attempts": 6}, "twofa_challenge_attempts"),
        ({"max_attempts": 0}, "twofa_challenge_attempts"),
        ({"attempts": 3, "max_attempts": 2}, "twofa_challenge_attempts"),
        ({"seed": None}, "twofa_challenge_seed"),
        ({"status": "approved"}, "twofa_challenge_seed"),
        ({"status": "approved", "ended_at": "now"}, "twofa_challenge_seed"),
        ({"status": "rejected", "seed": None}, "twofa_challenge_seed"),
        ({"status": "expired", "seed": None, "ended_at": "now", "superseded": b"x" * 32}, "twofa_challenge_seed"),
        ({"ended_at": "now"}, "twofa_challenge_seed"),
        ({"accepted": b"x" * 32}, "twofa_challenge_accepted_approved"),
        ({"purpose": "login"}, "twofa_challenge_redemption"),
        ({"redemption_id": None}, "twofa_challenge_redemption"),
        ({"action": "verify"}, "twofa_challenge_action"),
        ({"purpose": "device", "redemption_id": None}, "twofa_challenge_action"),
    ],
    ids=str,
)
def test_impossible_challenge_is_refused_by_the_database(shop, columns, constraint):
    row = shop.open().challenge
    with violates(constraint):
        tamper(row, **{name: now() if value == "now" else value for name, value in columns.items()})


@pytest.mark.django_db
def test_negative_attempts_are_refused_by_the_database(shop):
    row = shop.open().challenge
    with violates("attempts"):
        tamper(row, attempts=-1)


@pytest.mark.django_db
def test_redemption_has_one_challenge(shop):
    row = shop.open().challenge
    with violates("redemption"):
        copy(row)


@pytest.mark.django_db
def test_device_has_one_open_challenge_about_it(shop):
    row = shop.open().challenge
    about = {"purpose": "device", "action": "revoke", "redemption_id": None, "subject_id": shop.device.pk}
    copy(row, **about)
    ended = {"status": "expired", "seed": None, "ended_at": row.created_at}
    copy(row, **about, **ended)
    with violates("subject"):
        copy(row, **{**about, "action": "make_default"})


@pytest.mark.django_db
def test_open_challenge_is_overdue_from_its_deadline_on_and_an_ended_one_never(shop):
    challenge = shop.open().challenge
    assert not Challenge.objects.overdue(challenge.deadline - MILLISECOND).exists()
    assert Challenge.objects.overdue(challenge.deadline).get() == challenge

    challenge.change(status="cancelled", seed=None, superseded=b"", ended_at=challenge.deadline)
    assert not Challenge.objects.overdue(challenge.deadline).exists()


@pytest.mark.django_db
def test_challenge_is_read_with_the_delivery_of_its_present_generation(shop):
    row = shop.open().challenge
    assert Challenge.objects.with_delivery().get(pk=row.pk).delivery_status == "queued"
    row.deliveries.update(status="failed", reason="message_refused")
    read = Challenge.objects.with_delivery().get(pk=row.pk)
    assert (read.delivery_status, read.delivery_reason) == ("failed", "message_refused")
    Challenge.objects.filter(pk=row.pk).update(generation=2)
    read = Challenge.objects.with_delivery().get(pk=row.pk)
    assert (read.delivery_status, read.delivery_reason) == ("queued", "")


@pytest.mark.django_db
def test_wrong_token_of_the_factory_is_well_formed_and_wrong(shop):
    row = shop.open().challenge
    wrong = factories.wrong_token(row)
    assert row.normalise(wrong) == wrong
    assert row.judge(wrong) is Verdict.WRONG
