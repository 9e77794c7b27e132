from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import django
import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction

from tests import factories
from tests.example.blocks import blocks_of
from tests.stories import refused, stored, travel, unchanged
from twofa import alerts, signals
from twofa.exceptions import Invalid, PolicyRefused
from twofa.flows import campaigns, policy_changes, sweeps
from twofa.flows.history import Actor
from twofa.models import Campaign, Event, PolicyChange

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"
OFF = {"two_factor_mode": "off"}


@pytest.fixture(autouse=True)
def four_eyes(settings) -> None:
    settings.TWOFA_FOUR_EYES = True
    alerts.forget()


def member(name: str, *, may_approve: bool = True, **columns: Any) -> User:
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True, **columns)
    if may_approve:
        user.user_permissions.add(Permission.objects.get(codename="approve_policy"))
    return user


@pytest.fixture
def maria() -> User:
    return member("maria")


@pytest.fixture
def joao() -> User:
    return member("joao")


@pytest.fixture
def campaign() -> Campaign:
    return factories.campaign()


def propose(campaign: Campaign, by: User, changes: dict[str, Any] | None = None) -> PolicyChange:
    outcome = policy_changes.submit(
        campaign, by=by, actor=Actor.staff(by), changes=changes or OFF, reason="Support asked for it"
    )
    assert isinstance(outcome, PolicyChange)
    return outcome


def approve(change: PolicyChange, by: User, password: str = PASSWORD) -> PolicyChange:
    return policy_changes.approve(change, by=by, actor=Actor.staff(by), password=password)


def types() -> list[str]:
    return list(Event.objects.filter(type__startswith="campaign.").order_by("pk").values_list("type", flat=True))


@contextmanager
def noted(*expected: str) -> Iterator[None]:
    """The block is refused; besides these events, and the proposal's own state, nothing changes."""
    before, seen = stored(), len(types())
    with pytest.raises(PolicyRefused):
        yield
    after = stored()
    assert types()[seen:] == list(expected)
    assert [name for name in before if before[name] != after[name] and name not in ("Event", "PolicyChange")] == []


def test_loosening_is_proposed_and_changes_nothing(campaign, maria):
    before = Campaign.objects.values().get()
    change = propose(campaign, maria)
    assert Campaign.objects.values().get() == before
    assert (change.status, change.before, change.after) == (
        "pending",
        {"two_factor_mode": "required"},
        {"two_factor_mode": "off"},
    )
    event = Event.objects.get(type="campaign.change_proposed")
    assert (event.actor, event.campaign_id) == ("maria", campaign.pk)
    assert event.data == {
        "proposal": change.pk,
        "proposed_by": "maria",
        "reason": "Support asked for it",
        "before": {"two_factor_mode": "required"},
        "after": {"two_factor_mode": "off"},
    }


def test_tightening_takes_effect_at_once(campaign, maria):
    outcome = policy_changes.submit(campaign, by=maria, actor=Actor.staff(maria), changes={"max_attempts": 3})
    assert isinstance(outcome, Campaign)
    assert Campaign.objects.get().max_attempts == 3
    assert not PolicyChange.objects.exists()


def test_mixed_change_is_proposed_as_a_whole(campaign, maria, joao):
    changes = {"max_attempts": 3, "token_ttl": timedelta(minutes=8), "threshold": Decimal("10.50"), "name": "Other"}
    change = propose(campaign, maria, changes)
    assert sorted(change.loosens) == ["threshold", "token_ttl"]
    assert Campaign.objects.get().max_attempts == 5
    approve(change, joao)
    row = Campaign.objects.get()
    assert (row.max_attempts, row.token_ttl, row.threshold, row.name) == (
        3,
        timedelta(minutes=8),
        Decimal("10.50"),
        "Other",
    )


def test_without_the_setting_one_person_is_enough(campaign, maria, settings):
    settings.TWOFA_FOUR_EYES = False
    outcome = policy_changes.submit(campaign, by=maria, actor=Actor.staff(maria), changes=OFF)
    assert isinstance(outcome, Campaign)
    assert Campaign.objects.get().two_factor_mode == "off"


def test_second_person_lets_it_take_effect_and_both_names_stay(campaign, maria, joao):
    change = approve(propose(campaign, maria), joao)
    row = Campaign.objects.get()
    assert (row.two_factor_mode, row.policy_version) == ("off", 2)
    assert (change.status, change.decided_by, PolicyChange.objects.get().status) == ("approved", joao, "approved")
    changed = Event.objects.get(type="campaign.policy_changed")
    assert (changed.actor, changed.data["proposed_by"], changed.data["proposal"]) == ("joao", "maria", change.pk)
    assert types()[-2:] == ["campaign.policy_changed", "campaign.change_approved"]


def test_own_proposal_is_refused_noted_and_alerts(campaign, maria, caplog, django_capture_on_commit_callbacks):
    change = propose(campaign, maria)
    with caplog.at_level(logging.WARNING, alerts.LOGGER), django_capture_on_commit_callbacks(execute=True):
        with noted("campaign.self_approval_refused"):
            approve(change, maria)
        with noted("campaign.self_approval_refused"):
            approve(change, maria)
    assert PolicyChange.objects.get().status == "pending"
    (record,) = [record for record in caplog.records if record.name == alerts.LOGGER]
    assert (record.alert, record.levelname) == ("four_eyes_bypass", "ERROR")
    assert record.alert_ids == {"campaign": str(campaign.pk), "policy_change": str(change.pk)}


def test_superuser_is_one_person_as_well(campaign):
    boss = member("boss", is_superuser=True)
    change = propose(campaign, boss)
    with noted("campaign.self_approval_refused"):
        approve(change, boss)


def test_database_refuses_one_person_for_both_parts(campaign, maria):
    change = propose(campaign, maria)
    for status in ("approved", "rejected"):
        with pytest.raises(IntegrityError, match="twofa_policy_change_two_people"), transaction.atomic():
            PolicyChange.objects.filter(pk=change.pk).update(
                status=status, decided_by=maria, decided_at=change.requested_at
            )
    with pytest.raises(IntegrityError, match="twofa_policy_change_two_people"), transaction.atomic():
        PolicyChange.objects.filter(pk=change.pk).update(status="approved", decided_at=change.requested_at)
    with pytest.raises(IntegrityError, match="twofa_policy_change_decided"), transaction.atomic():
        PolicyChange.objects.filter(pk=change.pk).update(decided_by=None, decided_at=change.requested_at)


def test_flow_that_asks_nobody_is_refused_and_alerts(campaign, caplog):
    """A host's own code, or a page of its own, is no way around."""
    with caplog.at_level(logging.WARNING, alerts.LOGGER), refused(PolicyRefused):
        campaigns.update(campaign, actor=Actor.staff(User(username="x")), changes=OFF)
    assert [record.alert for record in caplog.records if record.name == alerts.LOGGER] == ["four_eyes_bypass"]
    campaigns.update(campaign, actor=Actor.staff(User(username="x")), changes={"max_attempts": 2})


def test_proposal_needs_a_reason(campaign, maria):
    with refused(Invalid) as refusal:
        policy_changes.submit(campaign, by=maria, actor=Actor.staff(maria), changes=OFF, reason=" ")
    assert refusal.value.params["errors"][0]["field"] == "reason"


def test_nonsense_is_refused_before_anybody_is_asked(campaign, maria):
    with refused(Invalid):
        propose(campaign, maria, {"max_attempts": 6})


def test_one_proposal_waits_at_a_time(campaign, maria, joao):
    change = propose(campaign, maria)
    with refused(PolicyRefused):
        propose(campaign, joao, {"max_resends": 9})
    policy_changes.withdraw(change, by=maria, actor=Actor.staff(maria))
    assert propose(campaign, joao, {"max_resends": 9}).status == "pending"


def test_policy_that_changed_since_must_be_proposed_anew(campaign, maria, joao):
    change = propose(campaign, maria)
    policy_changes.submit(campaign, by=maria, actor=Actor.staff(maria), changes={"max_attempts": 3})
    with noted("campaign.change_expired"):
        approve(change, joao)
    assert PolicyChange.objects.get().status == "expired"
    assert Campaign.objects.get().two_factor_mode == "required"
    assert approve(propose(campaign, maria), joao).status == "approved"


def test_another_column_that_changed_since_counts_as_well(campaign, maria, joao):
    change = propose(campaign, maria, {"name": "New", **OFF})
    Campaign.objects.update(name="Renamed")
    with noted("campaign.change_expired"):
        approve(change, joao)
    assert Campaign.objects.get().name == "Renamed"


def test_outdated_proposal_makes_room_for_another(campaign, maria):
    propose(campaign, maria)
    policy_changes.submit(campaign, by=maria, actor=Actor.staff(maria), changes={"max_attempts": 3})
    propose(campaign, maria)
    assert list(PolicyChange.objects.order_by("pk").values_list("status", flat=True)) == ["expired", "pending"]


def test_after_a_week_nobody_can_approve(campaign, maria, joao):
    change = propose(campaign, maria)
    travel(timedelta(days=7))
    with noted("campaign.change_expired"):
        approve(change, joao)


def test_sweep_ends_what_nobody_decided_on(campaign, maria):
    propose(campaign, maria)
    travel(timedelta(days=6, hours=23))
    assert sweeps.sweep()["proposals"] == 0
    travel(timedelta(hours=1))
    assert sweeps.sweep()["proposals"] == 1
    assert PolicyChange.objects.get().status == "expired"
    event = Event.objects.get(type="campaign.change_expired")
    assert (event.actor_kind, event.data["expired_because"]) == ("worker", "overdue")


def test_limits_of_the_host_hold_for_an_approval(campaign, maria, joao, settings):
    change = propose(campaign, maria, {"token_ttl": timedelta(minutes=9)})
    settings.TWOFA_POLICY_LIMITS = {"token_ttl": timedelta(minutes=6)}
    with refused(Invalid):
        approve(change, joao)


def test_wrong_password_approves_nothing_and_is_noted(campaign, maria, joao, caplog):
    change = propose(campaign, maria)
    with noted("campaign.password_refused"):
        approve(change, joao, "wrong")
    assert PASSWORD not in caplog.text
    assert "wrong" not in str(Event.objects.get(type="campaign.password_refused").data)


def test_wrong_passwords_are_limited(campaign, maria, joao):
    change = propose(campaign, maria)
    for _ in range(5):
        with noted("campaign.password_refused"):
            approve(change, joao, "wrong")
    with refused(PolicyRefused):
        approve(change, joao)
    ana = member("ana")
    travel(timedelta(minutes=15, seconds=1))
    assert approve(change, joao).status == "approved"
    assert ana.is_active


def test_wrong_passwords_are_limited_over_all_campaigns(campaign, maria, joao):
    """Each waiting proposal would be five more guesses for whoever has a stolen session."""
    for _campaign in range(policy_changes.WRONG_PASSWORDS):
        change = propose(factories.campaign(), maria)
        with noted("campaign.password_refused"):
            approve(change, joao, "wrong")
    another = propose(campaign, maria)

    with refused(PolicyRefused):
        approve(another, joao)


def test_wrong_passwords_of_one_person_do_not_lock_another_one(campaign, maria, joao):
    change = propose(campaign, maria)
    for _ in range(5):
        with noted("campaign.password_refused"):
            approve(change, joao, "wrong")
    assert approve(change, member("ana")).status == "approved"


def test_who_has_no_password_must_have_signed_in_lately(campaign, maria, joao):
    joao.set_unusable_password()
    joao.save()
    change = propose(campaign, maria)
    with refused(PolicyRefused):
        approve(change, joao, "")
    joao.last_login = change.requested_at - timedelta(minutes=16)
    with refused(PolicyRefused):
        approve(change, joao, "")
    joao.last_login = change.requested_at - timedelta(minutes=14)
    assert approve(change, joao, "").status == "approved"


def test_who_may_not_decide_is_refused(campaign, maria):
    change = propose(campaign, maria)
    stranger = member("stranger", may_approve=False)
    with refused(PolicyRefused):
        approve(change, stranger)
    with refused(PolicyRefused):
        policy_changes.reject(change, by=stranger, actor=Actor.staff(stranger), reason="no")
    with refused(PolicyRefused):
        policy_changes.withdraw(change, by=stranger, actor=Actor.staff(stranger))
    former = member("former", is_active=False)
    with refused(PolicyRefused):
        approve(change, former)


def test_proposal_of_somebody_who_left_is_approved_by_nobody(campaign, maria, joao):
    change = propose(campaign, maria)
    User.objects.filter(pk=maria.pk).update(is_active=False)
    with refused(PolicyRefused):
        approve(change, joao)


def test_rejection_keeps_the_answer(campaign, maria, joao):
    change = propose(campaign, maria)
    with refused(PolicyRefused):
        policy_changes.reject(change, by=maria, actor=Actor.staff(maria), reason="no")
    policy_changes.reject(change, by=joao, actor=Actor.staff(joao), reason="Not before the audit")
    assert Campaign.objects.get().two_factor_mode == "required"
    assert Event.objects.get(type="campaign.change_rejected").data["answer"] == "Not before the audit"


def test_decided_proposal_is_final(campaign, maria, joao):
    change = approve(propose(campaign, maria), joao)
    for act in (
        lambda: approve(change, member("ana")),
        lambda: policy_changes.withdraw(change, by=maria, actor=Actor.staff(maria)),
        lambda: policy_changes.reject(change, by=joao, actor=Actor.staff(joao), reason="x"),
    ):
        with pytest.raises(PolicyRefused):
            act()
    assert PolicyChange.objects.get().status == "approved"


def test_signals_tell_of_a_proposal_and_its_decision(campaign, maria, joao, django_capture_on_commit_callbacks):
    told: list[str] = []

    def receive(sender, policy_change, **_kwargs):
        told.append(policy_change.status)

    signals.policy_change_proposed.connect(receive)
    signals.policy_change_decided.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            change = propose(campaign, maria)
        with django_capture_on_commit_callbacks(execute=True):
            approve(change, joao)
    finally:
        signals.policy_change_proposed.disconnect(receive)
        signals.policy_change_decided.disconnect(receive)
    assert told == ["pending", "approved"]


def test_change_to_the_same_proposes_nothing(campaign, maria):
    with unchanged():
        policy_changes.submit(
            campaign, by=maria, actor=Actor.staff(maria), changes={"two_factor_mode": "required"}, reason="x"
        )


# MAILERS exists from Django 6.1 on; the hosts of these tests have the settings that 5.2 knows as well.
@pytest.mark.filterwarnings("ignore:Django 2028 will not have a default mailer")
def test_receiver_of_the_page_tells_managers(campaign, maria, settings, mailoutbox, django_capture_on_commit_callbacks):
    blocks = {block.kind: block.code for block in blocks_of("docs/howto/require-two-people.md")}
    names: dict[str, Any] = {}
    exec(blocks["setting"], names)  # noqa: S102 - our own page
    settings.TWOFA_FOUR_EYES = names["TWOFA_FOUR_EYES"]
    address = "managers@example.com"
    # Pairs until Django 5.2, bare addresses since.
    settings.MANAGERS = [address] if django.VERSION >= (6, 0) else [("Managers", address)]
    exec(blocks["receiver"], names)  # noqa: S102 - (the same)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            propose(campaign, maria)
    finally:
        signals.policy_change_proposed.disconnect(names["tell_managers"])

    (mail,) = mailoutbox
    assert mail.subject.endswith("A policy waits for a second person")
    assert mail.body == f"{campaign}: Support asked for it"
