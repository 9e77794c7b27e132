"""Erase what is kept longer than its purpose needs; once a day, where no Celery beat does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from twofa.flows import purges


class Command(BaseCommand):
    help = "Erase what TWOFA_RETENTION says is kept no longer: files, addresses, stored answers, events."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Erase nothing; count what is due.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self._list(purges.due())
            self._tell_overdue(purges.overdue())
            return
        purged = purges.purge(progress=self._tell_progress)
        self._list(purged.counts)
        self._tell_overdue(purged.overdue)
        for kid in purged.keys_missing:
            self.stderr.write(
                _("Key missing: “%(kid)s” is not in TWOFA_TOKEN_KEYS, and events are sealed with it.") % {"kid": kid}
            )
        if purged.failed:
            self.stderr.write(_("Failed: %(steps)s. The log says why.") % {"steps": ", ".join(purged.failed)})
        if not purged.is_clean:
            raise CommandError(_("Not all was erased: see above. Run it again when the cause is mended."))

    def _list(self, counts: dict[str, int]) -> None:
        for step, count in counts.items():
            self.stdout.write(f"{step}: {count}")

    def _tell_overdue(self, count: int) -> None:
        if count:
            self.stderr.write(
                _("Files that the storage did not erase: %(count)d. They are tried again.") % {"count": count}
            )

    def _tell_progress(self, step: str, count: int) -> None:
        self.stderr.write(f"{step}: {count}…")
