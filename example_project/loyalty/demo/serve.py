"""``make serve``: the same server for people to try, with data that is kept between runs."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import segno
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management import call_command
from django.db import connection
from django.utils.translation import gettext as _

from example_project.loyalty.demo import queue, seed, server
from example_project.loyalty.demo.client import PREFIX
from example_project.loyalty.demo.failure import DemoFailed
from example_project.loyalty.demo.terminal import Terminal
from example_project.staff import authenticators

_BESIDE = ("", "-wal", "-shm")
_LOG = "server.log"


def serve(terminal: Terminal, *, port: int, fresh: bool) -> None:
    """Serve until Ctrl-C. Raises: DemoFailed where the server cannot start, or ends by itself."""
    terminal.line(_("Preparing the database …"))
    free = server.free_port(port)
    logins = _prepare(terminal, server.receiver(free), fresh=fresh)
    if port not in (0, free):
        terminal.line(_("Port %(wanted)d is taken: using %(free)d.") % {"wanted": port, "free": free})
    process = server.start_server(
        free, log=settings.VAR_DIR / _LOG, key=logins.key, webhook_secret=logins.webhook_secret
    )
    sweeper = server.start_sweeper(free, log=settings.VAR_DIR / "sweeper.log")
    try:
        server.wait_until_ready(process, free, f"{PREFIX}/schema/")
        _greet(terminal, logins, free)
        while True:
            process.ensure_alive()
            sweeper.ensure_alive()
            time.sleep(0.5)
    finally:
        process.stop()
        sweeper.stop()


def _prepare(terminal: Terminal, receiver: str, *, fresh: bool) -> seed.Logins:
    database = Path(connection.settings_dict["NAME"])
    kept = settings.VAR_DIR / "serve.json"
    if fresh or not (database.exists() and kept.exists()):
        _forget(database, kept)
        call_command("migrate", verbosity=0, interactive=False)
        _keep(kept, seed.plant(receiver))
        terminal.line(
            _("Four people send documents for staff to decide; one of them sends a picture that is not theirs …")
        )
        queue.fill()
    else:
        call_command("migrate", verbosity=0, interactive=False)
        seed.redirect_webhooks(receiver)
    return seed.Logins(**json.loads(kept.read_text()))


def _forget(database: Path, kept: Path) -> None:
    connection.close()
    for suffix in _BESIDE:
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    kept.unlink(missing_ok=True)
    for folder in (settings.PHONE_DIRECTORY, settings.VAR_DIR / "documents", settings.SHOP_WEBHOOK_DIRECTORY):
        if folder.exists():
            shutil.rmtree(folder)


def _keep(path: Path, logins: seed.Logins) -> None:
    # Readable by its owner alone, from the moment it exists: the package itself keeps only a hash of the key.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(logins), file)


def _greet(terminal: Terminal, logins: seed.Logins, port: int) -> None:
    base = f"http://{server.HOST}:{port}"
    rows = (
        (_("Shop"), f"{base}/"),
        (_("API docs"), f"{base}{PREFIX}/docs/"),
        (_("Phone"), f"{base}/phone/"),
        (_("Webhooks"), f"{base}/webhooks/"),
        (_("Admin"), f"{base}/admin/"),
        (_("Admin login"), f"{seed.STAFF} / {logins.password}"),
        (_("Its code now"), "make code"),
        *_reviewer(logins),
        (_("Storefront's key"), logins.key),
        (_("Log"), settings.VAR_DIR / _LOG),
    )
    terminal.line()
    for label, value in rows:
        terminal.line(f"  {terminal.paint(label.ljust(18), 'bold')}{value}")
    _show_authenticator(terminal)
    terminal.line()
    terminal.line(_("Paste into another terminal; each message arrives on the phone page:"))
    terminal.line()
    for row in _pastable(base, logins.key):
        terminal.line(f"  {row}")
    terminal.line()
    terminal.line(_("Ctrl-C ends it. The data is kept for the next time; make serve ARGS=--fresh starts anew."))


def _reviewer(logins: seed.Logins) -> list[tuple[str, str]]:
    if not logins.reviewer_password:
        return []  # data of before there was one
    return [
        (_("Reviewer's login"), f"{seed.REVIEWER} / {logins.reviewer_password}"),
        (_("Its code now"), f"make code ARGS={seed.REVIEWER}"),
    ]


def _show_authenticator(terminal: Terminal) -> None:
    uri = authenticators.equip(_staff(seed.STAFF)).config_url
    terminal.line()
    terminal.line(_("The admin asks for a code beside the password: `make code` in another terminal tells it."))
    if terminal.stream.isatty():
        drawn = io.StringIO()
        segno.make(uri, micro=False).terminal(out=drawn, compact=True)
        terminal.line(_("Or scan this with an authenticator app, or give the app the address below it:"))
        terminal.line(drawn.getvalue())
    else:
        terminal.line(_("Or give an authenticator app this address:"))
    terminal.line(f"  {uri}")


def show_code(terminal: Terminal, username: str) -> None:
    """Tell the code that the admin takes of somebody at this moment.

    Raises: DemoFailed where nothing was ever served, or nobody is called so.
    """
    if not (settings.VAR_DIR / "serve.json").exists():
        raise DemoFailed(_("There is no admin yet: start it with `make serve`."))
    code, wait = authenticators.current_code(authenticators.equip(_staff(username)))
    if wait:
        terminal.line(_("Each code works once: the next one does in %(seconds)d seconds.") % {"seconds": wait + 1})
    terminal.line(code)


def _staff(username: str) -> AbstractBaseUser:
    found = get_user_model().objects.filter(username=username, is_staff=True).first()
    if found is None:
        raise DemoFailed(_("Nobody of the staff is called %(name)s.") % {"name": username})
    return found


def _pastable(base: str, key: str) -> list[str]:
    post = 'curl -sS -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" "$API'
    order = '{"participant": "ana", "order_id": "A-1", "amount": "15000.00", "description": "Headphones"}'
    device = json.dumps({"channel": "sms", "address": seed.PHONE})
    return [
        f"export API={base}{PREFIX} KEY={key}",
        f"{post}/campaigns/{seed.GUARDED}/participants/{seed.PARTICIPANT}/devices/\" -d '{device}'",
        f'{post}/devices/DEVICE_ID/verify/" -d \'{{"token": "TOKEN"}}\'',
        f"{post}/campaigns/{seed.GUARDED}/redemptions/\" -d '{order}'",
        f'{post}/redemptions/REDEMPTION_ID/confirm/" -d \'{{"token": "TOKEN"}}\'',
    ]
