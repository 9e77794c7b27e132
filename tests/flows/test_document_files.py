"""Rows and files have no transaction in common: what a crash or a storage leaves between them comes to an end."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from tests import factories
from tests.forms import picture
from tests.papers import decide, submitted
from tests.stories import STAFF, travel
from twofa import vault
from twofa.alerts import Alert, forget
from twofa.exceptions import DocumentQuota, DocumentUnreadable, Invalid, StorageUnavailable, Unavailable
from twofa.flows import document_files, documents, reviews
from twofa.models import DocumentFile, Event, IdentityDocument
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(documents_folder) -> Path:
    return documents_folder


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def send(shop, data: bytes) -> IdentityDocument:
    return documents.submit(
        shop.participant, storefront=shop.storefront, kind="cnh", side="single", data=data, actor=shop.actor
    )


class Crash(BaseException):
    """The process dies: nothing of ours runs any more."""


def crash_in(monkeypatch, place, name: str, *, after: bool) -> None:
    work = getattr(place, name)

    def crashing(*args, **kwargs):
        if after:
            work(*args, **kwargs)
        raise Crash

    monkeypatch.setattr(place, name, crashing)
    monkeypatch.setattr(document_files, "abandon", lambda files, spent: None)


# --- a crash, at each step --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "name", "after", "left"),
    [
        (documents, "_ensure_harmless", False, 0),
        (vault, "put", False, 0),
        (vault, "put", True, 1),
        (documents, "_attach", False, 1),
    ],
)
def test_upload_cut_off_by_a_crash_leaves_nothing_after_the_next_sweep(
    shop, folder, monkeypatch, place, name, after, left
):
    with monkeypatch.context() as patched:
        crash_in(patched, place, name, after=after)
        with pytest.raises(Crash):
            submitted(shop.participant)
    assert not IdentityDocument.objects.exists()
    assert len(files(folder)) == left
    assert document_files.erase_due(now()) == 0  # a slow upload is not one that was cut off
    travel(timedelta(minutes=16))
    document_files.erase_due(now())
    assert files(folder) == []
    assert not DocumentFile.objects.exists()


def test_crash_after_the_commit_leaves_a_whole_document(shop, folder, monkeypatch):
    with monkeypatch.context() as patched:
        crash_in(patched, documents, "_attach", after=True)
        with pytest.raises(Crash):
            submitted(shop.participant)
    travel(timedelta(minutes=16))
    assert document_files.erase_due(now()) == 0
    assert len(files(folder)) == 1
    assert IdentityDocument.objects.get().is_waiting


def test_upload_that_was_given_up_meanwhile_does_not_become_a_document(shop, folder, monkeypatch):
    attach = documents._attach

    def late(*args, **kwargs):
        travel(timedelta(minutes=16))
        document_files.erase_due(now())
        return attach(*args, **kwargs)

    monkeypatch.setattr(documents, "_attach", late)
    with pytest.raises(Exception, match="unavailable"):
        submitted(shop.participant)
    assert not IdentityDocument.objects.exists()
    assert files(folder) == []


# --- a storage that fails ---------------------------------------------------------------------------------------------


def test_storage_that_fails_in_the_middle_leaves_nothing_after_the_next_sweep(shop, folder, monkeypatch):
    put = vault.put

    def half(name, ciphertext):
        put(name, ciphertext)
        raise StorageUnavailable(60)

    with monkeypatch.context() as patched:
        patched.setattr(vault, "put", half)
        with pytest.raises(StorageUnavailable):
            submitted(shop.participant)
    assert DocumentFile.objects.get().wrapped_key is None
    assert document_files.erase_due(now()) == 1
    assert files(folder) == []
    assert not DocumentFile.objects.exists()


def test_file_that_the_storage_keeps_is_never_called_erased(shop, folder, monkeypatch, caplog):
    forget()
    document = decide(submitted(shop.participant), approve=True)
    travel(timedelta(days=31))
    assert document_files.purge(now()) == 1

    def down(name):
        raise StorageUnavailable(60)

    with monkeypatch.context() as patched:
        patched.setattr(vault, "erase", down)
        for tries in (1, 2, 3):
            assert document_files.erase_due(now()) == 0
            row = DocumentFile.objects.get()
            assert (row.erase_tries, row.erased_at, row.wrapped_key) == (tries, None, None)
            assert list(DocumentFile.objects.overdue()) == [row]
            assert IdentityDocument.objects.get().status == "approved"
            assert document_files.erase_due(now()) == 0  # not at once: the storage needs time
            assert DocumentFile.objects.get().erase_tries == tries
            travel(timedelta(hours=6))
    assert Event.objects.filter(type="document.purge_postponed").count() == 3
    document_files.erase_due(now())
    assert files(folder) == []
    document.refresh_from_db()
    assert (document.status, document.decision, document.files.get().erase_tries) == ("purged", "approved", 3)
    assert document.purged_at is not None
    assert Event.objects.filter(type="document.purged").count() == 1


@pytest.mark.django_db(transaction=True)
def test_file_that_is_not_erased_for_long_sounds_an_alert(shop, monkeypatch, caplog):
    forget()
    decide(submitted(shop.participant), approve=True)
    travel(timedelta(days=31))
    document_files.purge(now())

    def down(name):
        raise StorageUnavailable(60)

    monkeypatch.setattr(vault, "erase", down)
    for _ in range(3):
        document_files.erase_due(now())
        travel(timedelta(hours=6))
    told = [record for record in caplog.records if getattr(record, "alert", None) == Alert.DOCUMENT_NOT_ERASED]
    assert len(told) == 1


def test_file_that_is_not_where_it_should_be_is_looked_for_again(shop, folder, settings, tmp_path):
    """A disk that is not mounted looks like a file that was erased."""
    decide(submitted(shop.participant), approve=True)
    travel(timedelta(days=31))
    document_files.purge(now())
    right = settings.STORAGES
    elsewhere = {"BACKEND": "twofa.vault.PrivateFolder", "OPTIONS": {"location": str(tmp_path / "elsewhere")}}
    settings.STORAGES = {**right, "twofa_documents": elsewhere}
    assert document_files.erase_due(now()) == 0
    assert IdentityDocument.objects.get().status == "approved"
    assert DocumentFile.objects.overdue().count() == 1
    settings.STORAGES = right
    travel(timedelta(hours=1))
    assert document_files.erase_due(now()) == 1
    assert files(folder) == []


@pytest.mark.django_db(transaction=True)
def test_file_that_is_nowhere_counts_as_erased_in_the_end_and_calls_nobody(shop, folder, caplog):
    forget()
    decide(submitted(shop.participant), approve=True)
    travel(timedelta(days=31))
    document_files.purge(now())
    for path in files(folder):
        path.unlink()
    counts = []
    for _ in range(document_files.TRIES_TO_FIND + 1):
        counts.append(document_files.erase_due(now()))
        travel(timedelta(hours=7))
    assert counts == [0] * document_files.TRIES_TO_FIND + [1]
    assert not [record for record in caplog.records if getattr(record, "alert", None) == Alert.DOCUMENT_NOT_ERASED]


def test_file_that_is_nowhere_keeps_no_other_from_an_impatient_sweep(shop, folder):
    first, second = (decide(submitted(shop.participant, kind), approve=True) for kind in ("cnh", "rg"))
    travel(timedelta(days=31))
    document_files.purge(now())
    DocumentFile.objects.filter(document=first).update(erase_due_at=now() - timedelta(hours=1))
    lost = first.files.get()
    (folder / lost.name).unlink()
    assert document_files.erase_due(now(), patient=False) == 1
    assert files(folder) == []
    lost.refresh_from_db()
    assert (lost.erased_at, lost.erase_tries) == (None, 1)
    second.refresh_from_db()
    assert second.status == "purged"


def test_upload_slower_than_the_sweep_leaves_no_stray(shop, folder, monkeypatch):
    put = vault.put

    def slow(name, ciphertext):
        travel(timedelta(minutes=16))
        document_files.erase_due(now())
        put(name, ciphertext)

    monkeypatch.setattr(vault, "put", slow)
    with pytest.raises(Unavailable):
        submitted(shop.participant)
    assert files(folder) == []
    assert not IdentityDocument.objects.exists()


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_refused_file_costs_a_place_for_a_day(shop, folder, settings):
    """Else a file that takes the decoder its longest time could be sent again and again."""
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 2
    cut = picture()[:200]
    for _ in range(2):
        with pytest.raises(Invalid):
            send(shop, cut)
    with pytest.raises(DocumentQuota) as refusal:
        send(shop, picture())
    assert 0 < refusal.value.retry_after <= 24 * 3600 + 1
    assert files(folder) == []
    travel(timedelta(hours=24, minutes=1))
    assert document_files.erase_due(now()) == 0
    assert not DocumentFile.objects.exists()
    send(shop, picture())


def test_file_that_a_glance_refuses_costs_nothing(shop):
    for data in (b"", b"<svg/>", b"GIF89a"):
        with pytest.raises(Invalid):
            send(shop, data)
    assert not DocumentFile.objects.exists()


def test_bytes_are_counted_as_they_are_kept(shop, folder, settings):
    data = picture(size=(2000, 2000))
    settings.TWOFA_DOCUMENT_BYTES_PER_PARTICIPANT = len(data) + 10  # a PNG of one colour: the JPEG is larger
    with pytest.raises(DocumentQuota) as refusal:
        send(shop, data)
    assert refusal.value.retry_after is None
    assert files(folder) == []
    assert not DocumentFile.objects.filter(erased_at__isnull=True).exists()


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_picture_that_is_laid_under_another_name_does_not_open(shop):
    other = factories.participant(shop.campaign)
    mine, theirs = submitted(shop.participant, colour="red"), submitted(other, colour="blue")
    one, two = mine.files.get(), theirs.files.get()
    DocumentFile.objects.filter(pk=one.pk).update(document=None)
    DocumentFile.objects.filter(pk=two.pk).update(document=mine, participant=shop.participant)
    with pytest.raises(DocumentUnreadable):
        reviews.look(mine.pk, 1, reviewer=factories.staff(), actor=STAFF)


# --- how long ---------------------------------------------------------------------------------------------------------


def test_file_goes_thirty_days_after_its_decision(shop, folder, settings):
    decide(submitted(shop.participant), approve=True)
    submitted(shop.participant, "selfie", colour="blue")
    travel(timedelta(days=29))
    assert document_files.purge(now()) == 0
    travel(timedelta(days=2))
    assert document_files.purge(now()) == 1
    document_files.erase_due(now())
    assert len(files(folder)) == 1
    settings.TWOFA_RETENTION = {"onboarding": timedelta(days=30)}
    assert document_files.purge(now()) == 1
    document_files.erase_due(now())
    assert files(folder) == []
    assert sorted(IdentityDocument.objects.values_list("status", "decision")) == [
        ("purged", ""), ("purged", "approved"),
    ]  # fmt: skip


def test_purge_goes_on_where_it_stopped(shop, folder, monkeypatch):
    monkeypatch.setattr(document_files, "BATCH", 1)
    for kind, colour in (("cnh", "red"), ("selfie", "blue"), ("rg", "green")):
        decide(submitted(shop.participant, kind, colour=colour), approve=True)
    travel(timedelta(days=31))
    assert [document_files.purge(now()) for _ in range(4)] == [1, 1, 1, 0]
    assert [document_files.erase_due(now(), limit=1) for _ in range(4)] == [1, 1, 1, 0]
    assert files(folder) == []


# --- the same picture -------------------------------------------------------------------------------------------------


def test_same_picture_is_flagged_after_a_new_key_as_well(shop, settings):
    other, third = factories.participant(shop.campaign), factories.participant(factories.campaign())
    submitted(shop.participant, colour="red")
    settings.TWOFA_DOCUMENT_KEYS = {"d2": secrets.token_bytes(32), **settings.TWOFA_DOCUMENT_KEYS}
    submitted(other, colour="red")
    assert Event.objects.get(type="document.duplicate_found").data["participants"] == 1
    assert {row.is_duplicate for row in IdentityDocument.objects.with_duplicates()} == {True}
    assert submitted(third, colour="red").fingerprint_kid == "d2"  # of another campaign nothing is looked up


def test_same_picture_of_two_participants_is_flagged(shop):
    other = factories.participant(shop.campaign)
    submitted(shop.participant, colour="red")
    assert not Event.objects.filter(type="document.duplicate_found").exists()
    submitted(shop.participant, "rg", colour="red")
    assert not Event.objects.filter(type="document.duplicate_found").exists()
    again = submitted(other, colour="red")
    event = Event.objects.get(type="document.duplicate_found")
    assert (event.data["document"], event.data["participants"]) == (str(again.pk), 1)
    assert {row.is_duplicate for row in IdentityDocument.objects.with_duplicates()} == {True}
    assert not IdentityDocument.objects.filter(fingerprint=b"").exists()
