"""``manage.py demo``: tell the whole story over HTTP and check it; ``--serve`` leaves the server running."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from example_project.loyalty.demo import isolation, run, seed, serve
from example_project.loyalty.demo.failure import DemoFailed
from example_project.loyalty.demo.terminal import Terminal

DEFAULT_PORT = 8000


class Command(BaseCommand):
    help = "Tells the story of a redemption over HTTP, with a database of its own, and checks everything it shows."
    requires_system_checks: list[str] = []  # the server that it starts runs them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--serve", action="store_true", help="leave the server running, with data that is kept")
        parser.add_argument(
            "--code", nargs="?", const=seed.STAFF, help="tell the code that the admin of --serve asks this user for"
        )
        parser.add_argument("--fresh", action="store_true", help="with --serve: forget the data of earlier runs")
        parser.add_argument(
            "--port", type=int, help=f"the port to listen on (default: a free one; with --serve: {DEFAULT_PORT})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not isolation.is_entered():
            self._enter(serving=options["serve"] or options["code"] is not None)
        signal.signal(signal.SIGTERM, _end)
        # Shells start background jobs with SIGINT ignored; here it always means: end.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        terminal = Terminal(sys.stdout)
        try:
            if options["code"] is not None:
                serve.show_code(terminal, options["code"])
            elif options["serve"]:
                wanted = DEFAULT_PORT if options["port"] is None else options["port"]
                serve.serve(terminal, port=wanted, fresh=options["fresh"])
            else:
                run.run(terminal, port=options["port"] or 0)
        except DemoFailed as error:
            raise CommandError(_("The demo stopped: %(reason)s") % {"reason": error}) from error
        except KeyboardInterrupt:
            terminal.line()
            terminal.line(_("Stopped."))

    @staticmethod
    def _enter(*, serving: bool) -> NoReturn:
        if serving:
            isolation.enter(settings.VAR_DIR, settings.VAR_DIR / "serve.sqlite3")
        directory = Path(tempfile.mkdtemp(prefix="twofa-demo-"))
        isolation.enter(directory, directory / "demo.sqlite3")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    # As Ctrl-C does, so that the server and the sweeper are ended as well.
    raise SystemExit(128 + number)
