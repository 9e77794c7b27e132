"""Whoever steals the database and the storage after an erasure learns nothing of the person but a pseudonym."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry

from tests.dumps import found_in_files, found_in_tables
from tests.lives import CPF, EMAIL, EXTERNAL_ID, MASKS, NAME, PHONE, SPARE, TRACES, Life, pictures
from tests.papers import submitted
from tests.stories import STAFF, deliver_due, tamper, travel, unchanged
from twofa import delivery, signals, vault
from twofa.exceptions import NotActive, NotFound, PolicyRefused, StorageUnavailable
from twofa.flows import (
    audits,
    checkouts,
    devices,
    document_files,
    documents,
    erasures,
    forgetting,
    participants,
    seals,
)
from twofa.models import (
    Challenge,
    Delivery,
    Device,
    DocumentFile,
    Event,
    IdentityDocument,
    Participant,
    Redemption,
)
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def erase(life: Life, reason: str = "request 17") -> erasures.Erasure:
    return erasures.erase(life.participant, actor=STAFF, reason=reason)


def flaws() -> list[str]:
    return [str(finding) for finding in audits.Audit().findings()]


def test_traces_are_there_before(life, documents_folder):
    """The next test can fail: she is in every table that knows participants."""
    tables = {table for table, _column in found_in_tables(*TRACES)}
    assert tables == {
        "django_admin_log", "twofa_authenticator", "twofa_case", "twofa_challenge", "twofa_delivery", "twofa_device",
        "twofa_event", "twofa_idempotencyrecord", "twofa_identitydocument", "twofa_participant", "twofa_redemption",
        "twofa_webhook",
    }  # fmt: skip
    for trace in (EXTERNAL_ID, NAME, CPF, PHONE, EMAIL, *MASKS):
        assert found_in_tables(trace), trace
    assert len(files(documents_folder)) == 2


def test_nothing_of_the_person_is_left_but_the_pseudonym(life, documents_folder):
    erasure = erase(life)
    assert found_in_tables(*TRACES) == set()
    assert files(documents_folder) == []
    assert found_in_files(documents_folder, *pictures()) == []
    assert found_in_tables(erasure.pseudonym) == {
        ("twofa_participant", "external_id"), ("twofa_participant", "name"),
    }  # fmt: skip
    assert erasure.files_left == 0


def test_ledger_stays_under_the_pseudonym(life):
    columns = ("pk", "amount", "unit", "status", "points", "order_id", "description", "items", "approved_digest")
    before = list(life.participant.redemptions.order_by("pk").values(*columns))
    erasure = erase(life)
    kept = Redemption.objects.filter(participant__external_id=erasure.pseudonym)
    assert list(kept.order_by("pk").values(*columns)) == before
    assert erasure.pseudonym.startswith("erased-")
    completed = life.participant.redemptions.get(status="completed")
    assert completed.is_as_approved()


def test_participant_can_do_nothing_any_more(life):
    erase(life)
    row = life.participant
    assert (row.is_active, row.two_factor_method, row.document_number, row.locale) == (False, "none", "", "")
    assert row.erased_at is not None
    assert set(Device.objects.filter(participant=row).values_list("status", "name", "address", "destination")) == {
        ("revoked", "", "", "")
    }
    assert not Challenge.objects.filter(participant=row, status="pending").exists()
    assert not Delivery.objects.open().filter(participant=row).exists()
    assert not IdentityDocument.objects.waiting().filter(participant=row).exists()


def test_everybody_else_keeps_everything(life):
    before = Device.objects.filter(pk=life.other.pk).values().get(), life.other.participant.external_id
    erase(life)
    row = Device.objects.select_related("participant").get(pk=life.other.pk)
    assert (Device.objects.filter(pk=life.other.pk).values().get(), row.participant.external_id) == before
    assert row.participant.is_active
    assert {"status=completed"} < {*Event.objects.get(type="redemptions.exported").data["filters"]}


def test_erasing_is_no_flaw_of_the_trail(life):
    assert flaws() == []
    erase(life)
    assert flaws() == []
    travel_free = audits.Audit()
    list(travel_free.findings())
    assert travel_free.redacted > 5
    seals.seal(now() + timedelta(hours=1))
    assert flaws() == []


def test_event_tells_of_it_without_a_name(life):
    erase(life)
    event = Event.objects.get(type="participant.erased")
    assert (event.participant_id, event.data) == (life.participant.pk, {"files_left": 0, "reason": "request 17"})


@pytest.mark.django_db(transaction=True)
def test_host_is_told_after_the_commit_so_that_it_erases_its_user(life):
    """With the user that they had: the pseudonym leads to nobody any more."""
    told: list[tuple[int, str]] = []

    def listen(participant, user, **_more):
        told.append((user.pk, participant.external_id))

    signals.participant_erased.connect(listen)
    had = life.participant.user_id
    try:
        erasure = erase(life)
    finally:
        signals.participant_erased.disconnect(listen)
    assert told == [(had, erasure.pseudonym)]
    assert life.participant.user_id != had


def test_user_of_the_default_resolver_is_harmless(life):
    erase(life)
    user = life.participant.user
    assert user.username.startswith("twofa-")
    assert not user.has_usable_password()
    assert (user.email, user.first_name, user.last_name) == ("", "", "")


def test_admin_log_keeps_what_was_done_and_not_to_whom(life):
    erase(life)
    about = LogEntry.objects.filter(object_id__in=[str(life.participant.pk), str(life.shop.device.pk)])
    told = set(about.values_list("object_repr", "change_message"))
    assert told == {("participant (erased)", ""), ("device (erased)", "")}


# --- refused ----------------------------------------------------------------------------------------------------------


def test_erasure_is_refused_while_points_are_set_aside(life, documents_folder):
    redemption = life.shop.open()
    assert redemption.points == "reserved"
    with unchanged(), pytest.raises(PolicyRefused) as refused:
        erase(life)
    assert str(redemption.pk) in str(refused.value.detail)
    assert len(files(documents_folder)) == 2


@pytest.mark.parametrize("reason", [f"by {NAME.upper()}", f"CPF {CPF}", f"see {EXTERNAL_ID}", f"wrote from {EMAIL}"])
def test_reason_that_names_the_person_is_refused(life, reason):
    with unchanged(), pytest.raises(PolicyRefused):
        erase(life, reason)


def test_event_that_is_not_what_was_sealed_holds_the_erasure_up(life):
    """Its erasure would launder somebody's change."""
    event = Event.objects.filter(type="device.registered")[0]
    tamper(event, actor="somebody else")
    with pytest.raises(PolicyRefused):
        erase(life)
    assert life.participant.erased_at is None
    assert [finding.event for finding in audits.Audit().findings()] == [event.pk]
    tamper(event, actor=event.actor)
    erase(life)
    assert found_in_tables(*TRACES) == set()


# --- broken off -------------------------------------------------------------------------------------------------------

STEPS = [
    "_end_challenges", "forget_documents", "forget_devices", "forget_authenticators", "forget_messages",
    "_forget_answers", "_forget_admin_log", "_redact_events", "_rename",
]  # fmt: skip


class Crash(BaseException):
    """The process dies."""


@pytest.mark.parametrize("step", STEPS)
def test_erasure_that_was_broken_off_is_ended_by_another_run(life, documents_folder, monkeypatch, step):
    def crash(*_args, **_kwargs):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(erasures if hasattr(erasures, step) else forgetting, step, crash)
        with pytest.raises(Crash):
            erase(life)
    assert life.participant.external_id == EXTERNAL_ID
    assert not life.participant.is_active
    assert Event.objects.filter(type="participant.erasure_begun").count() == 1
    erase(life)
    assert found_in_tables(*TRACES) == set()
    assert files(documents_folder) == []
    assert flaws() == []
    told = Event.objects.filter(type__startswith="participant.eras").order_by("pk")
    assert list(told.values_list("type", flat=True)) == ["participant.erasure_begun", "participant.erased"]


def test_second_erasure_changes_nothing(life):
    erasure = erase(life)
    with unchanged():
        assert erase(life).pseudonym == erasure.pseudonym


def test_storage_that_fails_is_told_and_the_key_is_gone(life, documents_folder, monkeypatch):
    def down(_name):
        raise StorageUnavailable(60)

    with monkeypatch.context() as patched:
        patched.setattr(vault, "erase", down)
        erasure = erase(life)
    assert erasure.files_left == 2
    assert not DocumentFile.objects.exclude(wrapped_key=None).exists()
    assert found_in_files(documents_folder, *pictures()) == []
    assert found_in_tables(*TRACES) == set()
    assert DocumentFile.objects.overdue().count() == 2
    assert Event.objects.get(type="participant.erased").data["files_left"] == 2
    travel(timedelta(hours=1))
    document_files.erase_due(now())
    assert files(documents_folder) == []


# --- meanwhile --------------------------------------------------------------------------------------------------------


def test_upload_that_is_under_way_is_refused_and_leaves_no_file(life, documents_folder, monkeypatch):
    attach = documents._attach

    def late(*args, **kwargs):
        erase(life)
        return attach(*args, **kwargs)

    monkeypatch.setattr(documents, "_attach", late)
    with pytest.raises(NotFound):
        submitted(life.participant, "rg", colour="green")
    document_files.erase_due(now())
    assert files(documents_folder) == []
    assert not DocumentFile.objects.filter(erased_at=None).exists()


def test_message_that_is_being_sent_writes_nothing_of_the_person_back(life, monkeypatch):
    devices.resend(life.shop.participant.devices.get(address=SPARE), storefront=life.shop.storefront, actor=STAFF)
    send = delivery.send

    def slow(row):
        receipt = send(row)
        erase(life)
        return receipt

    monkeypatch.setattr(delivery, "send", slow)
    deliver_due()
    assert found_in_tables(*TRACES) == set()
    assert Delivery.objects.order_by("-pk")[0].status == "superseded"


def test_who_was_erased_may_come_back_as_somebody_new(life):
    erase(life)
    row, created = participants.enroll(
        campaign=life.shop.campaign, external_id=EXTERNAL_ID, name=NAME, document_number=CPF, actor=STAFF
    )
    assert created
    assert row.pk != life.participant.pk
    assert Participant.objects.filter(campaign=life.shop.campaign).count() == 4


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_checkout_at_the_same_moment_either_is_refused_or_holds_the_erasure_up(life, threads):
    order = life.shop.order()

    def check_out():
        try:
            return checkouts.open_redemption(
                order, storefront=life.shop.storefront, campaign=life.shop.campaign.slug, actor=life.shop.actor
            )[0]
        except (NotActive, NotFound):
            return None

    def forget():
        try:
            return erase(life)
        except PolicyRefused:
            return None

    opened, erased = threads([check_out, forget])
    assert (opened is None) != (erased is None)
    if erased is not None:
        assert not Redemption.objects.filter(points="reserved").exists()
