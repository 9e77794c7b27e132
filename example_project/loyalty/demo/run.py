"""``make demo``: everything from nothing, and nothing left behind."""

from __future__ import annotations

import shutil
import time

from django.conf import settings
from django.core.management import call_command
from django.urls import reverse
from django.utils.translation import gettext as _

from example_project.loyalty.demo import seed, server
from example_project.loyalty.demo.client import PREFIX, Client
from example_project.loyalty.demo.failure import DemoFailed
from example_project.loyalty.demo.inbox import Inbox
from example_project.loyalty.demo.story import Story
from example_project.loyalty.demo.terminal import Terminal


def run(terminal: Terminal, *, port: int) -> None:
    """Migrate, seed, serve, tell, clean up. Raises: DemoFailed."""
    began = time.monotonic()
    try:
        free = server.free_port(port)
        _tell(terminal, _prepare(terminal, server.receiver(free)), free)
    finally:
        shutil.rmtree(settings.VAR_DIR)
    seconds = time.monotonic() - began
    terminal.line()
    terminal.line(terminal.paint(_("All as it should be, in %(seconds).1f seconds.") % {"seconds": seconds}, "good"))
    terminal.line(_("Try next:  make serve   the same server, with its admin, API docs and phone"))
    pages = ", ".join(reverse(f"shop:{name}") for name in ("sign-up", "sign-in", "safety"))
    terminal.line(_("           %(pages)s   Bia's story in the shop that it serves") % {"pages": pages})
    terminal.line(_("           make test    the test suite"))
    terminal.line(_("           docs/tutorial/first-redemption.md   the same story by your own hand"))


def _prepare(terminal: Terminal, receiver: str) -> seed.Logins:
    terminal.line(_("Making a database: migrations, four campaigns, Ana and her points …"))
    call_command("migrate", verbosity=0, interactive=False)
    return seed.plant(receiver)


def _tell(terminal: Terminal, logins: seed.Logins, port: int) -> None:
    log = settings.VAR_DIR / "server.log"
    terminal.line(_("Starting the server on port %(port)d …") % {"port": port})
    process = server.start_server(port, log=log, key=logins.key, webhook_secret=logins.webhook_secret)
    sweeper = server.start_sweeper(port, log=settings.VAR_DIR / "sweeper.log")
    try:
        seconds = server.wait_until_ready(process, port, f"{PREFIX}/schema/")
        terminal.line(_("It answers after %(seconds).1f seconds.") % {"seconds": seconds})
        Story(Client(port, logins.key, terminal), terminal, Inbox(settings.PHONE_DIRECTORY)).tell()
        process.ensure_alive()
        sweeper.ensure_alive()
    except DemoFailed as failed:
        # The log goes with the directory: what it says last is most likely the cause.
        raise DemoFailed(f"{failed}\n\n{process.last_lines()}") from failed
    finally:
        process.stop()
        sweeper.stop()
