"""Two people who decide at the same moment."""

from __future__ import annotations

from functools import partial

import pytest

from tests import factories
from tests.flows.test_policy_changes import OFF, approve, member, propose
from tests.flows.test_seals import written
from tests.races.guards import Pause, meet_after, outcomes, unlocked
from twofa.flows import campaigns, policy_changes, seals
from twofa.flows.audits import Audit
from twofa.flows.history import Actor
from twofa.models import Campaign, Event, EventSeal, PolicyChange
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture(autouse=True)
def four_eyes(settings) -> None:
    settings.TWOFA_FOUR_EYES = True


@pytest.fixture
def campaign() -> Campaign:
    return factories.campaign()


def decided() -> list[str]:
    return list(PolicyChange.objects.order_by("pk").values_list("status", flat=True))


def test_two_approvers_change_the_policy_once(campaign, threads):
    change = propose(campaign, member("maria"))
    people = [member(f"approver-{number}") for number in range(6)]
    assert outcomes(threads([partial(approve, change, person) for person in people])) == {
        "done": 1,
        "policy_refused": 5,
    }
    assert Campaign.objects.get().policy_version == 2
    assert Event.objects.filter(type="campaign.policy_changed").count() == 1


def test_without_the_lock_they_change_it_more_than_once(campaign, threads, monkeypatch):
    change = propose(campaign, member("maria"))
    people = [member(f"approver-{number}") for number in range(3)]
    meet_after(monkeypatch, policy_changes, "_doubt", 3)
    threads([unlocked(partial(approve, change, person)) for person in people])
    assert Event.objects.filter(type="campaign.change_approved").count() > 1


def test_approval_and_withdrawal_have_one_outcome(campaign, threads):
    maria, joao = member("maria"), member("joao")
    for _round in range(4):
        Campaign.objects.update(two_factor_mode="required")
        change = propose(campaign, maria)
        results = threads(
            [
                partial(approve, change, joao),
                partial(policy_changes.withdraw, change, by=maria, actor=Actor.staff(maria)),
            ]
        )
        assert outcomes(results) == {"done": 1, "policy_refused": 1}
        change.refresh_from_db()
        assert (change.status == "approved") == (Campaign.objects.get().two_factor_mode == "off")


def test_policy_that_is_changed_in_the_middle_is_not_overwritten(campaign, threads, monkeypatch):
    """The tightening waits for the lock of the approval, or comes before it: never both policies at once."""
    maria, joao = member("maria"), member("joao")
    change = propose(campaign, maria, {**OFF, "max_resends": 9})
    tighten = partial(campaigns.update, campaign, actor=Actor.staff(maria), changes={"max_attempts": 2})
    results = threads([partial(approve, change, joao), tighten])
    row = Campaign.objects.get()
    assert row.max_attempts == 2
    assert outcomes(results)["done"] == (2 if decided() == ["approved"] else 1)
    assert (row.two_factor_mode == "off") == (decided() == ["approved"])


def test_two_proposals_at_once_leave_one(campaign, threads):
    people = [member(f"member-{number}") for number in range(4)]
    assert outcomes(threads([partial(propose, campaign, person) for person in people])) == {
        "done": 1,
        "policy_refused": 3,
    }
    assert decided() == ["pending"]


def test_wrong_passwords_are_counted_one_after_another(campaign, threads):
    change, joao = propose(campaign, member("maria")), member("joao")
    threads([partial(approve, change, joao, "wrong")] * 12)
    assert Event.objects.filter(type="campaign.password_refused").count() == 5


def test_sealers_of_the_same_moment_make_one_chain(threads, monkeypatch):
    monkeypatch.setattr(seals, "BATCH", 5)
    written(40)
    meet_after(monkeypatch, seals, "_due", 4)
    threads([partial(seals.seal, now())] * 4)
    seals.seal(now())
    assert list(EventSeal.objects.values_list("number", flat=True)) == list(range(1, 9))
    assert list(Audit().findings()) == []


def test_event_of_a_transaction_that_stays_open_is_sealed_as_late(threads, monkeypatch):
    """Its id is handed out, its commit comes after its neighbours were sealed."""
    monkeypatch.setattr(seals, "BATCH", 2)
    maria = Actor.staff(member("maria"))
    campaign = factories.campaign()
    written(3)
    pause = Pause(monkeypatch, campaigns, "save", patience=20)

    def neighbours() -> int:
        written(3)
        aged = now() + seals.SEAL_AFTER + seals.SEAL_EVERY
        return sum(seals.seal(aged) for _ in range(3))

    late = partial(campaigns.update, campaign, actor=maria, changes={"max_attempts": 2})
    (_changed, sealed) = threads([late, pause.then(neighbours)])
    assert sealed == Event.objects.count() - 1
    assert seals.seal(now() + seals.SEAL_AFTER) == 1
    assert EventSeal.objects.get(late=True).count == 1
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.late, audit.events) == (1, Event.objects.count())
