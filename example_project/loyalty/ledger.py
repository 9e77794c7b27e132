"""The verbs of the ledger: grant, reserve, spend, release. Each may be repeated, and happens once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet, Sum

from example_project.loyalty.models import Account, Transfer
from twofa.models import Campaign, Participant

ZERO = Decimal("0.00")
WELCOME = Decimal("5000.00")


class LedgerError(Exception):
    """What the ledger refuses; never raised itself."""


class InsufficientPoints(LedgerError):
    """The account does not hold that many points."""


class NotReserved(LedgerError):
    """Nothing was set aside under that reference."""


class AlreadySettled(LedgerError):
    """What was set aside went the other way: spent, where it should be given back, or the reverse."""


class KeyReused(LedgerError):
    """The key belongs to another transfer."""


@dataclass(frozen=True)
class Balances:
    """What a participant has: ``available`` to spend, and ``reserved`` for redemptions that wait."""

    available: Decimal = ZERO
    reserved: Decimal = ZERO


def grant(participant: Participant, amount: Decimal, *, key: str) -> Transfer:
    """Give new points to a participant. Raises: KeyReused."""
    source = _campaign_account(participant.campaign, Account.Kind.ISSUED)
    target = _participant_account(participant, Account.Kind.AVAILABLE)
    return _post(key=f"grant:{key}", kind=Transfer.Kind.GRANT, source=source, target=target, amount=amount)


def welcome(campaign: str, external_id: str) -> Transfer:
    """Give a new member their first points; given again they are the same ones."""
    participant = Participant.objects.select_related("campaign").get(campaign__slug=campaign, external_id=external_id)
    return grant(participant, WELCOME, key=f"welcome:{campaign}:{external_id}")


def reserve(participant: Participant, amount: Decimal, *, reference: object) -> Transfer:
    """Set points aside under ``reference``. Raises: InsufficientPoints, KeyReused."""
    return _post(
        key=_reserve_key(reference),
        kind=Transfer.Kind.RESERVE,
        source=_participant_account(participant, Account.Kind.AVAILABLE),
        target=_participant_account(participant, Account.Kind.RESERVED),
        amount=amount,
    )


def spend(*, reference: object) -> Transfer:
    """Spend what was set aside under ``reference``. Raises: NotReserved, AlreadySettled."""
    reserved = _reservation(reference)
    target = _campaign_account(reserved.target.campaign, Account.Kind.SPENT)
    return _settle(reference, reserved, kind=Transfer.Kind.SPEND, target=target)


def release(*, reference: object) -> Transfer:
    """Give back what was set aside under ``reference``. Raises: NotReserved, AlreadySettled."""
    reserved = _reservation(reference)
    return _settle(reference, reserved, kind=Transfer.Kind.RELEASE, target=reserved.source)


def balances(participant: Participant) -> Balances:
    """Return a participant's points."""
    return _balances(Account.objects.filter(participant=participant))


def balances_of(campaign: str, external_id: str) -> Balances:
    """Return the points of a member by the campaign's slug and the storefront's own id; none for nobody."""
    kept = Account.objects.filter(participant__campaign__slug=campaign, participant__external_id=external_id)
    return _balances(kept)


def _balances(accounts: QuerySet[Account]) -> Balances:
    kept = accounts.order_by().values_list("kind", "balance")
    return Balances(**{kind: balance for kind, balance in kept if balance is not None})


def discrepancies() -> list[Account]:
    """Return the accounts whose balance is not the sum of their transfers: none, unless somebody wrote past us."""
    incoming = _sums("target")
    outgoing = _sums("source")
    kept = Account.objects.filter(balance__isnull=False).select_related("campaign", "participant")
    return [each for each in kept if each.balance != incoming.get(each.pk, ZERO) - outgoing.get(each.pk, ZERO)]


def _sums(side: str) -> dict[int, Decimal]:
    rows = Transfer.objects.order_by().values_list(side).annotate(Sum("amount"))
    return {account: total.quantize(ZERO) for account, total in rows}


def _reserve_key(reference: object) -> str:
    return f"reserve:{reference}"


def _reservation(reference: object) -> Transfer:
    found = Transfer.objects.select_related("source", "target__campaign").filter(key=_reserve_key(reference)).first()
    if found is None:
        raise NotReserved(str(reference))
    return found


def _settle(reference: object, reserved: Transfer, *, kind: Transfer.Kind, target: Account) -> Transfer:
    # One key for both ways out. With a key for each, a call that comes late and in the wrong order would pay from what
    # other redemptions of the same participant have set aside, and every balance would still look right.
    key = f"settle:{reference}"
    done = _post(key=key, kind=kind, source=reserved.target, target=target, amount=reserved.amount)
    if done.kind != kind:
        raise AlreadySettled(f"{reference}: {done.kind}")
    return done


def _post(*, key: str, kind: Transfer.Kind, source: Account, target: Account, amount: Decimal) -> Transfer:
    with transaction.atomic():
        # In the order of their ids, so that a reservation and a release of one participant never wait for each other.
        kept = Account.objects.filter(pk__in=(source.pk, target.pk), balance__isnull=False)
        locked = {each.pk: each for each in kept.select_for_update().order_by("pk")}
        transfer, created = Transfer.objects.get_or_create(
            key=key, defaults={"kind": kind, "source": source, "target": target, "amount": amount}
        )
        if not created:
            return _ensure_same(transfer, source=source, amount=amount)
        _change(locked.get(source.pk), -amount)
        _change(locked.get(target.pk), amount)
        return transfer


def _ensure_same(transfer: Transfer, *, source: Account, amount: Decimal) -> Transfer:
    if (transfer.source_id, transfer.amount) != (source.pk, amount):
        raise KeyReused(transfer.key)
    return transfer


def _change(account: Account | None, amount: Decimal) -> None:
    if account is None or account.balance is None:
        return  # a campaign's account: its balance is the sum of its transfers
    # Computed here, under the row's lock, and not by SQL: SQLite would do it in binary fractions, and there
    # 0.30 - 0.20 - 0.10 is below zero.
    if account.balance + amount < ZERO:
        raise InsufficientPoints(f"{account.balance} < {-amount}")
    account.balance += amount
    account.save(update_fields=["balance"])


def _participant_account(participant: Participant, kind: Account.Kind) -> Account:
    account, _created = Account.objects.get_or_create(
        participant=participant, kind=kind, defaults={"campaign_id": participant.campaign_id, "balance": ZERO}
    )
    return account


def _campaign_account(campaign: Campaign, kind: Account.Kind) -> Account:
    account, _created = Account.objects.get_or_create(campaign=campaign, participant=None, kind=kind)
    return account
