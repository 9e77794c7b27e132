"""The storage of sealed files: the private folder, and storages that fail or lie."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, default_storage

from twofa import vault
from twofa.exceptions import StorageUnavailable

NAME = "3f/3fa9"
MEMORY = "django.core.files.storage.InMemoryStorage"
HERE = "tests.vault.test_storage"


@pytest.fixture
def folder(settings, tmp_path) -> Iterator[Path]:
    """The private folder of a host that names no storage, made under a careless umask."""
    settings.BASE_DIR = tmp_path
    settings.STORAGES = {"default": {"BACKEND": MEMORY}, "staticfiles": {"BACKEND": MEMORY}}
    before = os.umask(0)
    yield tmp_path / "twofa_documents"
    os.umask(before)


def stored_in(settings, backend: str, **options) -> None:
    settings.STORAGES = {
        "default": {"BACKEND": MEMORY},
        "staticfiles": {"BACKEND": MEMORY},
        vault.ALIAS: {"BACKEND": backend, "OPTIONS": options},
    }


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# --- names ------------------------------------------------------------------------------------------------------------


def test_name_is_random_and_tells_nothing():
    names = [vault.new_name() for _time in range(1000)]

    assert all(re.fullmatch(r"([0-9a-f]{2})/\1[0-9a-f]{38}", name) for name in names)
    assert len(set(names)) == 1000
    assert len({name[:2] for name in names}) > 200


# --- the private folder -----------------------------------------------------------------------------------------------


def test_file_is_kept_and_found_and_erased(folder):
    vault.put(NAME, b"sealed")

    assert vault.fetch(NAME) == b"sealed"
    assert vault.exists(NAME)
    assert [path.relative_to(folder) for path in files_below(folder)] == [Path(NAME)]
    vault.erase(NAME)
    assert not vault.exists(NAME)
    assert files_below(folder) == []


def test_folder_and_files_are_their_owner_s_alone(folder):
    vault.put(NAME, b"sealed")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert modes == {"twofa_documents": 0o700, "3f": 0o700, "3fa9": 0o600}


def test_file_has_no_address_and_is_not_in_the_default_storage(folder, settings):
    settings.MEDIA_URL, settings.MEDIA_ROOT = "/media/", str(folder.parent / "media")
    vault.put(NAME, b"sealed")

    with pytest.raises(ValueError, match="not accessible via a URL"):
        vault.PrivateFolder().url(NAME)
    assert not default_storage.exists(NAME)
    assert not Path(settings.MEDIA_ROOT).exists()


def test_without_base_dir_the_folder_is_below_the_working_one(settings, tmp_path, monkeypatch):
    monkeypatch.delattr(settings, "BASE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    vault.put(NAME, b"sealed")

    assert files_below(tmp_path) == [tmp_path / "twofa_documents" / NAME]


def test_folder_may_be_named_in_the_settings(settings, tmp_path):
    stored_in(settings, "twofa.vault.PrivateFolder", location=tmp_path / "elsewhere")
    vault.put(NAME, b"sealed")

    assert files_below(tmp_path) == [tmp_path / "elsewhere" / NAME]


def test_erasing_what_is_gone_is_fine_and_told(folder, caplog):
    vault.put(NAME, b"sealed")
    vault.erase(NAME)
    assert caplog.records == []

    vault.erase(NAME)
    assert not vault.exists(NAME)
    (record,) = caplog.records
    assert record.getMessage() == f"a document that was to be erased was not there: {NAME}"


def test_file_that_is_not_there_cannot_be_fetched(folder):
    with pytest.raises(StorageUnavailable):
        vault.fetch(NAME)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\0b", ""])
def test_name_that_leads_out_of_the_folder_is_refused(folder, name, tmp_path):
    for call in (lambda: vault.put(name, b"sealed"), lambda: vault.fetch(name), lambda: vault.erase(name)):
        with pytest.raises(StorageUnavailable):
            call()
    assert files_below(tmp_path) == []


def test_name_that_is_taken_is_refused_and_the_first_file_stays(folder):
    vault.put(NAME, b"the first")

    with pytest.raises(StorageUnavailable):
        vault.put(NAME, b"the second")
    assert vault.fetch(NAME) == b"the first"
    assert len(files_below(folder)) == 1


def test_file_that_is_too_long_is_neither_stored_nor_loaded(folder, monkeypatch):
    monkeypatch.setattr("twofa.vault.storage.MAX_BYTES", 10)
    with pytest.raises(ValueError):
        vault.put(NAME, b"x" * 11)
    assert files_below(folder) == []

    vault.put(NAME, b"x" * 10)
    assert vault.fetch(NAME) == b"x" * 10
    (folder / NAME).write_bytes(b"x" * 11)
    with pytest.raises(StorageUnavailable):
        vault.fetch(NAME)


def test_folder_that_cannot_be_made_is_unavailable(settings, tmp_path):
    (tmp_path / "twofa_documents").write_text("a file where the folder should be")
    settings.BASE_DIR = tmp_path

    with pytest.raises(StorageUnavailable):
        vault.put(NAME, b"sealed")


# --- storages that fail or lie ----------------------------------------------------------------------------------------


class Failing(InMemoryStorage):
    """Raises what it is told to, wherever it is touched."""

    error: Exception = OSError()

    def _fail(self, *_arguments, **_options):
        raise self.error

    save = open = delete = exists = _fail


class Renaming(InMemoryStorage):
    """Keeps a file under a name of its own."""

    kept: list[str] = []

    def save(self, name, content, max_length=None):
        self.kept.append(super().save(f"{name}_x7", content, max_length))
        return self.kept[-1]


class Immortal(InMemoryStorage):
    """Says that it deleted, and did not."""

    def delete(self, name): ...


class Endless:
    """A file without an end, whose size is not the one that it tells."""

    size = 10

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __enter__(self):
        return self

    def __exit__(self, *_error) -> None: ...

    def read(self, length: int) -> bytes:
        self.asked.append(length)
        return b"x" * length


ERRORS = [OSError("disk"), PermissionError(), ValueError("private"), KeyError("x"), RuntimeError(), AttributeError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_storage_raises_is_unavailable(error, settings, monkeypatch, caplog):
    monkeypatch.setattr(Failing, "error", error)
    stored_in(settings, f"{HERE}.Failing")

    calls = [lambda: vault.put(NAME, b"sealed"), lambda: vault.fetch(NAME), lambda: vault.erase(NAME)]
    for call in [*calls, lambda: vault.exists(NAME)]:
        with pytest.raises(StorageUnavailable) as raised:
            call()
        assert raised.value.params == {"retry_after": 60}
        assert "private" not in str(raised.value.detail)
    assert len(caplog.records) == 4
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("backend", ["no.such.Storage", "storages.backends.no_such.Storage", f"{HERE}.Endless"])
def test_storage_that_cannot_be_built_is_unavailable(backend, settings):
    stored_in(settings, backend, no_such_option=1)

    with pytest.raises(StorageUnavailable):
        vault.put(NAME, b"sealed")
    assert not default_storage.exists(NAME)


def test_file_under_another_name_is_deleted_and_refused(settings):
    stored_in(settings, f"{HERE}.Renaming")

    with pytest.raises(StorageUnavailable):
        vault.put(NAME, b"sealed")
    (kept,) = Renaming.kept
    assert not vault.exists(kept)
    assert not vault.exists(NAME)


def test_file_that_is_still_there_was_not_erased(settings):
    stored_in(settings, f"{HERE}.Immortal")
    vault.put(NAME, b"sealed")

    with pytest.raises(StorageUnavailable):
        vault.erase(NAME)
    assert vault.exists(NAME)


def test_file_without_an_end_is_read_no_further_than_any_could_be(settings, monkeypatch):
    file = Endless()
    stored_in(settings, MEMORY)
    monkeypatch.setattr(InMemoryStorage, "open", lambda _self, _name: file)

    with pytest.raises(StorageUnavailable):
        vault.fetch(NAME)
    assert file.asked == [vault.MAX_BYTES + 1]


def test_empty_file_is_no_sealed_one(settings):
    stored_in(settings, MEMORY)
    vault.put(NAME, b"sealed")
    from_outside = vault.storage.document_storage()
    from_outside.delete(NAME)
    from_outside.save(NAME, ContentFile(b""))

    with pytest.raises(StorageUnavailable):
        vault.fetch(NAME)
