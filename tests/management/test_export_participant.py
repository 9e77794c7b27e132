from __future__ import annotations

import json
import zipfile

import pytest
from django.core.management import CommandError

from tests.lives import EXTERNAL_ID, NAME, PHONE, Life
from tests.management.test_commands import run
from tests.stories import unchanged
from twofa import vault
from twofa.exceptions import StorageUnavailable
from twofa.flows import portability
from twofa.models import Event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]


@pytest.fixture
def life() -> Life:
    return Life()


def export(life: Life, path, *options: str) -> str:
    return run("twofa_export_participant", life.shop.campaign.slug, EXTERNAL_ID, "--to", str(path), *options)[0]


def test_folder_holds_the_text_and_the_pictures_for_one_pair_of_eyes(life, tmp_path):
    folder = tmp_path / "ana"
    assert f"Written to {folder}" in export(life, folder)
    data = json.loads((folder / "participant.json").read_text())
    assert data["participant"]["name"] == NAME
    assert PHONE in {device["address"] for device in data["devices"]}
    pictures = [path for path in folder.iterdir() if path.suffix == ".jpg"]
    assert [path.read_bytes()[:3] for path in pictures] == [b"\xff\xd8\xff"] * 2
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert Event.objects.get(type="participant.exported").actor.endswith("(command line)")


def test_zip_holds_the_same_for_one_pair_of_eyes(life, tmp_path):
    file = tmp_path / "ana.zip"
    export(life, file, "--internal-comments")
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert f"{NAME}?" in archive.read("participant.json").decode()
    assert [name.rpartition(".")[2] for name in names] == ["jpg", "jpg", "json"]


@pytest.mark.parametrize("name", ["ana", "ana.zip", "link.zip"])
def test_what_is_there_is_never_overwritten(life, tmp_path, name):
    path = tmp_path / name
    if name.startswith("link"):
        path.symlink_to(tmp_path / "elsewhere")
    elif name.endswith("zip"):
        path.write_text("mine")
    else:
        path.mkdir()
    before = sorted(tmp_path.rglob("*"))
    with unchanged(), pytest.raises(CommandError, match="exists already"):
        export(life, path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["ana", "ana.zip"])
def test_half_an_export_is_not_left_behind(life, tmp_path, monkeypatch, name):
    def broken(_export):
        raise OSError("disk full")

    monkeypatch.setattr(portability.Export, "pictures", broken)
    with pytest.raises(CommandError, match="disk full"):
        export(life, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_folder_that_cannot_be_made_is_told(life, tmp_path):
    with pytest.raises(CommandError, match="could not be written"):
        export(life, tmp_path / "no" / "such" / "folder")


def test_picture_that_cannot_be_read_is_named_and_ends_with_one(life, tmp_path, monkeypatch):
    def down(_name):
        raise StorageUnavailable(60)

    monkeypatch.setattr(vault, "fetch", down)
    with pytest.raises(CommandError, match="could not be read: .*jpg, .*jpg"):
        export(life, tmp_path / "ana")
    assert len(json.loads((tmp_path / "ana" / "participant.json").read_text())["unreadable"]) == 2
