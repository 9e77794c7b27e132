"""Rows and files have no transaction in common: what a crash or a failing storage leaves between them comes to an end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests import factories
from tests.papers import decide, submitted
from tests.stories import travel
from twofa import vault
from twofa.alerts import Alert, forget
from twofa.exceptions import StorageUnavailable
from twofa.flows import document_files, documents
from twofa.models import DocumentFile, Event, IdentityDocument
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(documents_folder) -> Path:
    return documents_folder


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class Crash(BaseException):
    """The process dies: nothing of ours runs any more."""


def crash_in(monkeypatch, place, name: str, *, after: bool) -> None:
    work = getattr(place, name)

    def crashing(*args, **kwargs):
        if after:
            work(*args, **kwargs)
        raise Crash

    monkeypatch.setattr(place, name, crashing)
    monkeypatch.setattr(document_files, "abandon", lambda names: None)


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
    assert [document_files.erase_due(now()) for _ in range(4)] == [1, 1, 1, 0]
    assert files(folder) == []


# --- the same picture -------------------------------------------------------------------------------------------------


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
