"""``manage.py seed``: give this database the demo's rows, once, and the shop its key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from example_project.loyalty.demo import queue, seed
from example_project.staff import authenticators


class Command(BaseCommand):
    help = "Development: makes the demo's campaigns, members and staff user, once, and a key for the shop."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(_("The demo's members have no passwords: they are for development only, with DEBUG=1."))
        _ensure_migrated()
        path = Path(settings.SHOP_API_KEY_FILE)
        if not seed.is_planted():
            logins = seed.plant(_receiver())
            self.stdout.write(_("The admin's login: %(login)s") % {"login": f"{seed.STAFF} / {logins.password}"})
            staff = get_user_model().objects.get(username=seed.STAFF)
            self.stdout.write(_("Its authenticator: %(uri)s") % {"uri": authenticators.equip(staff).config_url})
            reviewer = get_user_model().objects.get(username=seed.REVIEWER)
            login = f"{seed.REVIEWER} / {logins.reviewer_password}"
            self.stdout.write(_("Who decides about documents: %(login)s") % {"login": login})
            self.stdout.write(_("Its authenticator: %(uri)s") % {"uri": authenticators.equip(reviewer).config_url})
            _keep(path, logins.key)
            if logins.webhook_secret:
                _keep(Path(settings.SHOP_WEBHOOK_SECRET_FILE), logins.webhook_secret)
            self.stdout.write(_("Four people send documents; of one picture the log will say that it was sent before."))
            queue.fill()
        else:
            self.stdout.write(_("The admin's login was shown by the first run. To get in without it:"))
            self.stdout.write(f"  manage.py changepassword {seed.STAFF}\n  manage.py enroll_staff {seed.STAFF}")
            if not path.exists():
                # A key is shown once: where it was lost there is another.
                _keep(path, seed.new_key())
        self.stdout.write(_("The shop's key is in %(path)s.") % {"path": path})


def _receiver() -> str:
    """Return where the shop takes webhooks, if it is on this machine; another one brings its own endpoint."""
    host = urlsplit(settings.SHOP_API_URL).hostname
    return urljoin(settings.SHOP_API_URL, "/webhooks/") if host in settings.TWOFA_WEBHOOK_PRIVATE_HOSTS else ""


def _ensure_migrated() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError(_("Run manage.py migrate first."))


def _keep(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    # Readable by its owner alone, from the moment it exists.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
