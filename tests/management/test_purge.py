from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError

from tests.factories import Shop
from tests.management.test_commands import run
from tests.papers import decide, submitted
from tests.stories import travel, unchanged
from twofa import vault
from twofa.exceptions import StorageUnavailable
from twofa.flows import document_files
from twofa.models import DocumentFile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]


@pytest.fixture
def outdated():
    decide(submitted(Shop().participant), approve=True)
    travel(timedelta(days=31))


def test_purge_tells_what_it_erased_and_its_progress(outdated):
    out, err = run("twofa_purge")
    assert "documents: 1\nfiles: 1\n" in out
    assert "documents: 1…" in err


def test_dry_run_counts_and_erases_nothing(outdated):
    with unchanged():
        out, err = run("twofa_purge", "--dry-run")
    assert "documents: 1\n" in out
    assert err == ""


def test_file_that_is_still_there_ends_with_one(outdated, monkeypatch):
    def down(_name):
        raise StorageUnavailable(60)

    monkeypatch.setattr(vault, "erase", down)
    with pytest.raises(CommandError, match="Not all was erased") as error:
        run("twofa_purge")
    assert error.value.returncode == 1
    assert DocumentFile.objects.overdue().count() == 1
    with unchanged():
        out, err = run("twofa_purge", "--dry-run")
    assert "files: 0\n" in out
    assert "did not erase: 1." in err
    # Also on the next day, for as long as it is there.
    with pytest.raises(CommandError):
        run("twofa_purge")


def test_step_that_fails_is_named_and_ends_with_one(outdated, monkeypatch):
    def broken(_at):
        raise OSError

    monkeypatch.setattr(document_files, "purge", broken)
    with pytest.raises(CommandError, match="Not all was erased"):
        run("twofa_purge")
    assert DocumentFile.objects.kept().count() == 1
