"""What is kept longer than its purpose needs goes; what is left of it, is seen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.papers import decide, submitted
from tests.stories import confirm, deliver_due, travel, unchanged
from twofa import alerts, vault
from twofa.flows import devices, document_files, purges, sweeps
from twofa.models import Challenge, Delivery, DocumentFile, Event, IdempotencyRecord, IdentityDocument
from twofa.models.clock import now
from twofa.pictures import Page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]

DAY = timedelta(days=1)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def sent(shop):
    """A redemption whose message has arrived and whose token was given."""
    redemption = shop.open()
    deliver_due()
    confirm(shop, redemption, redemption.challenge.derive_token())
    return redemption


class Silent:
    """A storage that says yes to everything and keeps what it has."""

    def delete(self, name: str) -> None: ...

    def exists(self, name: str) -> bool:
        return True


def test_nothing_is_purged_before_its_time(shop, sent):
    decide(submitted(shop.participant), approve=True)
    travel(timedelta(hours=23))
    with unchanged():
        purged = purges.purge()
    assert set(purged.counts.values()) == {0}
    assert purged.is_clean


def test_files_go_after_the_decision_and_the_decision_stays(shop, documents_folder):
    decide(submitted(shop.participant), approve=True)
    travel(31 * DAY)
    purged = purges.purge()
    assert (purged.counts["documents"], purged.counts["files"], purged.is_clean) == (1, 1, True)
    assert files(documents_folder) == []
    document = IdentityDocument.objects.get()
    assert (document.status, document.decision) == ("purged", "approved")
    assert document.files.get().erased_at is not None


def test_addresses_go_and_what_was_sent_when_stays(shop, sent, settings):
    waiting = shop.open()
    settings.TWOFA_RETENTION = {"contacts": 2 * DAY}
    travel(3 * DAY)
    purged = purges.purge()
    assert (purged.counts["messages"], purged.counts["challenges"]) == (1, 1)
    delivery, challenge = Delivery.objects.get(challenge=sent.challenge), Challenge.objects.get(pk=sent.challenge.pk)
    assert (delivery.address, delivery.destination, delivery.status) == ("", "", "sent")
    assert (challenge.address, challenge.destination, challenge.status) == ("", "", "approved")
    # What is still open needs its address: to be sent, and to derive its token.
    assert Challenge.objects.get(pk=waiting.challenge.pk).address == shop.device.address
    assert Delivery.objects.get(challenge=waiting.challenge).address == shop.device.address
    with unchanged():
        purges.purge()


def test_digest_by_which_an_address_could_be_tried_goes_with_the_address(shop, sent):
    """It has no key: whoever has the row tries a thousand million numbers in minutes."""
    devices.register(
        shop.participant, storefront=shop.storefront, channel="email", address="ana@example.com", actor=shop.actor
    )
    travel(timedelta(hours=1))
    sweeps.sweep()
    travel(100 * DAY)
    purges.purge()
    about_device = Challenge.objects.get(purpose="device")
    assert (about_device.address, bytes(about_device.transaction_digest)) == ("", b"")
    about_order = Challenge.objects.get(pk=sent.challenge.pk)
    assert (about_order.address, bytes(about_order.transaction_digest)) == ("", sent.digest())


@pytest.mark.parametrize("period", [timedelta(0), timedelta(hours=1)])
def test_addresses_that_budgets_count_stay_whatever_the_setting_says(shop, sent, settings, period):
    settings.TWOFA_RETENTION = {"contacts": period, "events": {"challenge": period, "delivery": period}}
    travel(timedelta(hours=23))
    with unchanged():
        purges.purge()


def test_stored_answers_go_when_their_key_is_forgotten(shop, settings):
    for age in (1, 3):
        IdempotencyRecord.objects.create(storefront=shop.storefront, path="/x", key=str(age), kid="k", fingerprint=b"x",
                                         claimed_at=now() - age * DAY)  # fmt: skip
    settings.TWOFA_RETENTION = {"idempotency": 2 * DAY}
    assert purges.purge().counts["idempotency_records"] == 1
    assert IdempotencyRecord.objects.get().key == "1"


def test_purge_goes_on_where_it_was_broken_off(shop, settings, monkeypatch):
    monkeypatch.setattr(purges, "BATCH", 2)
    for _ in range(3):
        shop.open()
    travel(200 * DAY)
    sweeps.sweep()
    travel(200 * DAY)

    class Stop(BaseException):
        """Ctrl-C, or the machine is switched off."""

    def stop(step: str, _count: int) -> None:
        if step == "messages":
            raise Stop

    with pytest.raises(Stop):
        purges.purge(progress=stop)
    assert Delivery.objects.exclude(address="").count() == 1
    purges.purge()
    assert not Delivery.objects.exclude(address="").exists()
    assert not Challenge.objects.exclude(address="").exists()


def test_step_that_fails_keeps_no_other_and_is_told(shop, sent, monkeypatch, caplog):
    alerts.forget()
    decide(submitted(shop.participant), approve=True)
    travel(100 * DAY)

    def broken(_at):
        raise OSError("disk full")

    monkeypatch.setattr(document_files, "purge", broken)
    purged = purges.purge()
    assert (purged.failed, purged.is_clean) == (["documents"], False)
    assert purged.counts["messages"] == 1
    assert DocumentFile.objects.kept().count() == 1
    told = [record.alert_ids for record in caplog.records if getattr(record, "alert", None) == "purge_failed"]
    assert told == [{"step": "documents"}]


def test_file_that_the_storage_only_claims_to_have_erased_is_not_called_erased(shop, documents_folder, monkeypatch):
    decide(submitted(shop.participant), approve=True)
    travel(31 * DAY)
    with monkeypatch.context() as patched:
        patched.setattr(vault.storage, "document_storage", Silent)
        purged = purges.purge()
    assert (purged.counts["files"], purged.overdue, purged.failed, purged.is_clean) == (0, 1, [], False)
    assert len(files(documents_folder)) == 1
    row = DocumentFile.objects.get()
    assert (row.erased_at, row.wrapped_key, row.erase_tries) == (None, None, 1)
    assert IdentityDocument.objects.get().status == "approved"
    travel(DAY)
    assert purges.purge().is_clean
    assert files(documents_folder) == []
    assert IdentityDocument.objects.get().status == "purged"


def test_one_file_that_fails_keeps_no_other_from_being_erased(shop, documents_folder, monkeypatch):
    for kind, colour in (("cnh", "red"), ("selfie", "blue"), ("rg", "green")):
        decide(submitted(shop.participant, kind, colour=colour), approve=True)
    stuck = DocumentFile.objects.order_by("pk")[0]
    travel(31 * DAY)
    erase = vault.erase

    def picky(name):
        if name == stuck.name:
            raise vault.storage.StorageUnavailable(60)
        erase(name)

    monkeypatch.setattr(vault, "erase", picky)
    purged = purges.purge()
    assert (purged.counts["files"], purged.overdue) == (2, 1)
    assert [path.name for path in files(documents_folder)] == [stuck.name.rpartition("/")[2]]


def test_sweep_stops_at_a_storage_that_is_down_and_goes_on_later(shop, documents_folder, monkeypatch):
    for kind, colour in (("cnh", "red"), ("selfie", "blue"), ("rg", "green")):
        decide(submitted(shop.participant, kind, colour=colour), approve=True)
    travel(31 * DAY)
    while document_files.purge(now()):
        pass
    asked: list[str] = []

    def down(name):
        asked.append(name)
        raise vault.storage.StorageUnavailable(60)

    with monkeypatch.context() as patched:
        patched.setattr(vault, "erase", down)
        assert sweeps.sweep()["erased"] == 0
    # Each file of a storage that is down costs a timeout, and messages wait for the next sweep.
    assert len(asked) == 1
    travel(timedelta(hours=1))
    assert sweeps.sweep()["erased"] == 3
    assert files(documents_folder) == []


def test_sweep_erases_what_an_upload_left_behind(shop, documents_folder):
    document_files.store(
        document_files.claim(shop.participant, size=1, at=now()), [Page(b"not looked at here", 1, 1)], at=now()
    )
    assert sweeps.sweep()["erased"] == 0
    travel(timedelta(minutes=16))
    assert sweeps.sweep()["erased"] == 1
    assert files(documents_folder) == []
    assert not DocumentFile.objects.exists()


def test_dry_run_counts_what_a_run_takes(shop, sent):
    decide(submitted(shop.participant), approve=True)
    travel(100 * DAY)
    with unchanged():
        due = purges.due()
    counts = purges.purge().counts
    assert due["documents"] == counts["documents"] == 1
    assert due["messages"] == counts["messages"] == 1
    assert due["challenges"] == counts["challenges"] == 1
    assert purges.due() == dict.fromkeys(purges.STEPS, 0)
    assert Event.objects.filter(type="document.purged").exists()
