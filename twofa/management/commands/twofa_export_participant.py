"""Give out all that is kept of one participant: JSON, and the pictures of their documents."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _

from twofa.flows import portability
from twofa.flows.history import Actor
from twofa.flows.portability import Export
from twofa.management.commands.twofa_erase import found

Write = Callable[[str, bytes], None]


class Command(BaseCommand):
    help = "Write all that is kept of a participant to a new folder, or to a new .zip file, that you alone can read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="The campaign's slug.")
        parser.add_argument("external_id", help="The participant's id in it.")
        parser.add_argument("--to", required=True, metavar="PATH", help="A folder, or a file that ends with .zip.")
        parser.add_argument(
            "--internal-comments", action="store_true", help="Also what staff wrote for one another: read it first."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        participant = found(options["campaign"], options["external_id"])
        path = Path(options["to"])
        if path.exists() or path.is_symlink():
            raise CommandError(_("“%(path)s” exists already. Name another.") % {"path": path})
        actor, with_comments = Actor.operator(), options["internal_comments"]
        write_all = _to_zip if path.suffix == ".zip" else _to_folder
        try:
            export = portability.export(participant, actor=actor, with_internal_comments=with_comments)
            write_all(path, export)
        except OSError as error:
            raise CommandError(_("It could not be written: %(why)s") % {"why": error}) from error
        self.stdout.write(_("Written to %(path)s.") % {"path": path})
        if export.data["unreadable"]:
            raise CommandError(
                _("Pictures that could not be read: %(names)s. The log says why.")
                % {"names": ", ".join(export.data["unreadable"])}
            )


def _write(export: Export, write: Write) -> None:
    for picture in export.pictures():
        write(picture.name, picture.data)
    # The last, because it tells which pictures could not be read.
    text = json.dumps(export.data, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    write("participant.json", text.encode())


def _create(path: Path) -> int:
    """Open a file that was not there before, and that nobody else can ever have opened."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _to_folder(path: Path, export: Export) -> None:
    path.mkdir(mode=0o700)

    def write(name: str, data: bytes) -> None:
        with os.fdopen(_create(path / name), "wb") as file:
            file.write(data)

    try:
        _write(export, write)
    except BaseException:
        # Half of it is not what was asked for, and nobody would look after it.
        shutil.rmtree(path)
        raise


def _to_zip(path: Path, export: Export) -> None:
    with os.fdopen(_create(path), "wb") as file:
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                _write(export, archive.writestr)
        except BaseException:
            path.unlink()
            raise
