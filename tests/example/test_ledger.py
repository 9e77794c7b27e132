from __future__ import annotations

import shlex
import uuid
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from example_project.loyalty import ledger
from example_project.loyalty.ledger import Balances
from example_project.loyalty.models import Account, Transfer
from tests import factories
from tests.example.blocks import blocks_of
from tests.example.members import new_participant

pytestmark = pytest.mark.django_db


def points(participant) -> tuple[str, str]:
    held = ledger.balances(participant)
    return str(held.available), str(held.reserved)


def test_participant_without_transfers_has_no_points():
    assert ledger.balances(new_participant()) == Balances(Decimal(0), Decimal(0))


def test_grant_arrives_once_per_key():
    participant = new_participant()

    first = ledger.grant(participant, Decimal("10.00"), key="welcome")
    second = ledger.grant(participant, Decimal("10.00"), key="welcome")

    assert first == second
    assert points(participant) == ("10.00", "0.00")


def test_grant_of_the_page_arrives():
    (block,) = [block for block in blocks_of("docs/howto/run-the-example.md") if block.kind == "grant"]
    python, manage, *words = shlex.split(block.code)
    campaign = factories.campaign(slug="summer")
    participant = factories.participant(campaign, external_id="ana")

    call_command(*words)

    assert (python, manage) == ("python", "manage.py")
    assert points(participant) == ("50000.00", "0.00")


def test_key_of_another_amount_is_refused():
    participant = new_participant()
    ledger.grant(participant, Decimal("10.00"), key="welcome")

    with pytest.raises(ledger.KeyReused):
        ledger.grant(participant, Decimal("11.00"), key="welcome")
    assert points(participant) == ("10.00", "0.00")


@pytest.mark.parametrize(("settle", "left"), [(ledger.spend, ("7.00", "0.00")), (ledger.release, ("10.00", "0.00"))])
def test_reservation_is_settled_once(settle, left):
    participant = new_participant()
    ledger.grant(participant, Decimal("10.00"), key="welcome")
    for _repeat in range(2):
        ledger.reserve(participant, Decimal("3.00"), reference="r1")
    assert points(participant) == ("7.00", "3.00")

    for _repeat in range(2):
        settle(reference="r1")

    assert points(participant) == left
    assert Transfer.objects.count() == 3


def test_reserve_beyond_the_balance_is_refused():
    participant = new_participant()
    ledger.grant(participant, Decimal("10.00"), key="welcome")

    with pytest.raises(ledger.InsufficientPoints):
        ledger.reserve(participant, Decimal("10.01"), reference="r1")

    assert points(participant) == ("10.00", "0.00")
    assert Transfer.objects.count() == 1


@pytest.mark.parametrize(("first", "second"), [(ledger.spend, ledger.release), (ledger.release, ledger.spend)])
def test_settling_the_other_way_is_refused(first, second):
    participant = new_participant()
    ledger.grant(participant, Decimal("10.00"), key="welcome")
    ledger.reserve(participant, Decimal("3.00"), reference="r1")
    ledger.reserve(participant, Decimal("3.00"), reference="r2")
    first(reference="r1")
    before = points(participant)

    with pytest.raises(ledger.AlreadySettled):
        second(reference="r1")

    assert points(participant) == before


@pytest.mark.parametrize("settle", [ledger.spend, ledger.release])
def test_settling_what_was_not_reserved_is_refused(settle):
    with pytest.raises(ledger.NotReserved):
        settle(reference="r1")
    assert not Transfer.objects.exists()


def test_tenths_that_add_up_leave_exactly_nothing():
    participant = new_participant()
    ledger.grant(participant, Decimal("0.30"), key="welcome")

    ledger.reserve(participant, Decimal("0.20"), reference="r1")
    ledger.reserve(participant, Decimal("0.10"), reference="r2")

    assert points(participant) == ("0.00", "0.30")


def test_database_refuses_a_negative_balance():
    participant = new_participant()
    ledger.grant(participant, Decimal("1.00"), key="welcome")

    with pytest.raises(IntegrityError, match="loyalty_account_never_negative"), transaction.atomic():
        Account.objects.filter(participant=participant).update(balance=Decimal("-0.01"))


def test_transfer_is_never_changed_nor_deleted():
    transfer = ledger.grant(new_participant(), Decimal("1.00"), key="welcome")

    for attempt in (
        transfer.save,
        transfer.delete,
        Transfer.objects.all().delete,
        lambda: Transfer.objects.update(amount=Decimal("2.00")),
    ):
        with pytest.raises(PermissionDenied):
            attempt()

    assert Transfer.objects.get().amount == Decimal("1.00")


def test_balance_written_past_the_ledger_is_a_discrepancy():
    participant = new_participant()
    ledger.grant(participant, Decimal("1.00"), key="welcome")
    assert ledger.discrepancies() == []

    Account.objects.filter(participant=participant, kind="available").update(balance=Decimal("5.00"))

    assert [account.kind for account in ledger.discrepancies()] == ["available"]


AMOUNTS = st.decimals(min_value="0.01", max_value="99.99", places=2)
REFERENCES = st.integers(min_value=0, max_value=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), REFERENCES, AMOUNTS),
        st.tuples(st.just("reserve"), REFERENCES, AMOUNTS),
        st.tuples(st.sampled_from(["spend", "release"]), REFERENCES, st.none()),
    ),
    max_size=25,
)


class Model:
    """The ledger in a few dictionaries: what it must agree with after every step."""

    def __init__(self) -> None:
        self.available = self.reserved = Decimal("0.00")
        self.grants: dict[int, Decimal] = {}
        self.reservations: dict[int, Decimal] = {}
        self.settled: dict[int, str] = {}

    def apply(self, verb: str, reference: int, amount: Decimal | None) -> bool:
        """Take the step; tell whether it is allowed."""
        return bool(getattr(self, verb)(reference, amount))

    def grant(self, reference: int, amount: Decimal) -> bool:
        if reference in self.grants:
            return self.grants[reference] == amount
        self.grants[reference] = amount
        self.available += amount
        return True

    def reserve(self, reference: int, amount: Decimal) -> bool:
        if reference in self.reservations:
            return self.reservations[reference] == amount
        if self.available < amount:
            return False
        self.reservations[reference] = amount
        self.available -= amount
        self.reserved += amount
        return True

    def spend(self, reference: int, amount: None) -> bool:
        return self._settle(reference, "spend")

    def release(self, reference: int, amount: None) -> bool:
        return self._settle(reference, "release")

    def _settle(self, reference: int, way: str) -> bool:
        if reference not in self.reservations:
            return False
        if reference in self.settled:
            return self.settled[reference] == way
        self.settled[reference] = way
        self.reserved -= self.reservations[reference]
        if way == "release":
            self.available += self.reservations[reference]
        return True


def take(participant, run: str, verb: str, reference: int, amount: Decimal | None) -> bool:
    """Take the step in the ledger; tell whether it was allowed."""
    key = f"{run}:{reference}"
    try:
        if verb == "grant":
            ledger.grant(participant, amount, key=key)
        elif verb == "reserve":
            ledger.reserve(participant, amount, reference=key)
        else:
            getattr(ledger, verb)(reference=key)
    except ledger.LedgerError:
        return False
    return True


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_agrees_with_the_model_and_sums_to_zero(steps):
    participant, model, run = new_participant(), Model(), uuid.uuid4().hex

    for verb, reference, amount in steps:
        with transaction.atomic():
            assert take(participant, run, verb, reference, amount) == model.apply(verb, reference, amount)
        held = ledger.balances(participant)
        assert (held.available, held.reserved) == (model.available, model.reserved)
        assert min(held.available, held.reserved) >= 0

    assert ledger.discrepancies() == []
    assert sum_of_entries() == 0


def sum_of_entries() -> Decimal:
    """Every transfer as the two entries that it stands for, summed over all accounts."""
    entries: dict[int, Decimal] = {}
    for source, target, amount in Transfer.objects.values_list("source", "target", "amount"):
        entries[source] = entries.get(source, Decimal(0)) - amount
        entries[target] = entries.get(target, Decimal(0)) + amount
    return sum(entries.values(), Decimal(0))
