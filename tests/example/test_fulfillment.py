from __future__ import annotations

import uuid
from decimal import Decimal
from types import SimpleNamespace

import pytest

from example_project.loyalty import ledger
from example_project.loyalty.fulfillment import PointsBackend
from example_project.loyalty.models import Transfer
from tests.example.members import new_participant
from twofa.exceptions import RedemptionRefused


def redemption_of(participant, amount: str) -> SimpleNamespace:
    return SimpleNamespace(pk=uuid.uuid4(), participant=participant, amount=Decimal(amount))


def participant_with(amount: str):
    participant = new_participant()
    ledger.grant(participant, Decimal(amount), key=str(uuid.uuid4()))
    return participant


@pytest.mark.django_db
def test_repeated_calls_move_points_once():
    participant = participant_with("10.00")
    redemption, backend = redemption_of(participant, "4.00"), PointsBackend()

    for call in (backend.reserve, backend.reserve, backend.complete, backend.complete):
        call(redemption)

    assert ledger.balances(participant) == ledger.Balances(Decimal("6.00"), Decimal("0.00"))


@pytest.mark.django_db
def test_release_gives_the_points_back_once():
    participant = participant_with("10.00")
    redemption, backend = redemption_of(participant, "4.00"), PointsBackend()

    for call in (backend.reserve, backend.release, backend.release):
        call(redemption)

    assert ledger.balances(participant) == ledger.Balances(Decimal("10.00"), Decimal("0.00"))


@pytest.mark.django_db
def test_too_few_points_are_refused_and_nothing_moves():
    participant = participant_with("3.99")

    with pytest.raises(RedemptionRefused) as refused:
        PointsBackend().reserve(redemption_of(participant, "4.00"))

    assert refused.value.reason == "insufficient_points"
    assert ledger.balances(participant) == ledger.Balances(Decimal("3.99"), Decimal("0.00"))


@pytest.mark.django_db
def test_completing_released_points_is_refused_and_spends_nobody_elses():
    participant = participant_with("10.00")
    backend, first, second = PointsBackend(), redemption_of(participant, "4.00"), redemption_of(participant, "4.00")
    backend.reserve(first)
    backend.reserve(second)
    backend.release(first)

    with pytest.raises(RedemptionRefused):
        backend.complete(first)

    assert ledger.balances(participant) == ledger.Balances(Decimal("6.00"), Decimal("4.00"))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_reservations_at_the_same_moment_never_overdraw(threads):
    participant = participant_with("10.00")
    redemptions = [redemption_of(participant, "3.00") for _each in range(8)]

    def reserve(redemption) -> str:
        try:
            PointsBackend().reserve(redemption)
        except RedemptionRefused as refused:
            return refused.reason
        return "reserved"

    outcomes = threads([lambda each=each: reserve(each) for each in redemptions])

    assert sorted(outcomes) == ["insufficient_points"] * 5 + ["reserved"] * 3
    assert ledger.balances(participant) == ledger.Balances(Decimal("1.00"), Decimal("9.00"))
    assert ledger.discrepancies() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_redemption_settled_both_ways_at_the_same_moment_is_settled_once(threads):
    participant = participant_with("10.00")
    redemption, backend = redemption_of(participant, "3.00"), PointsBackend()
    backend.reserve(redemption)

    def settle(call) -> bool:
        try:
            call(redemption)
        except (RedemptionRefused, ledger.AlreadySettled):
            return False
        return True

    outcomes = threads([lambda call=call: settle(call) for call in [backend.complete, backend.release] * 4])

    assert sum(outcomes) == 4, "all calls of one kind succeed, and none of the other"
    assert Transfer.objects.filter(key__startswith="settle:").count() == 1
    assert ledger.balances(participant).reserved == Decimal("0.00")
    assert ledger.discrepancies() == []
