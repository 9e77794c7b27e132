"""Verify the audit trail against its seals, and name what is wrong."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from twofa.flows import audits
from twofa.flows.audits import Audit

_ANCHOR = re.compile(r"(?P<number>[0-9]{1,18}):(?P<digest>[0-9a-f]{64})")
TOLD_EVERY = 200
"""Seals between two lines of progress: a hundred thousand events."""


class Command(BaseCommand):
    help = "Verify the audit trail: every event against the chain of seals. Exits with 1 where something is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anchor",
            metavar="NUMBER:DIGEST",
            help="A seal that was noted outside of the database: the chain must still have it.",
        )
        parser.add_argument(
            "--last", action="store_true", help="Verify nothing; print the last seal, to be noted outside."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["last"]:
            last = audits.latest()
            if last is None:
                raise CommandError(_("There is no seal yet. The sweeper makes the first one within minutes."))
            self.stdout.write(str(last))
            return
        anchor = options["anchor"]
        audit = Audit(None if anchor is None else _parsed(anchor), progress=self._tell_progress)
        found = 0
        for finding in audit.findings():
            found += 1
            self.stdout.write(f"{finding.flaw.value}: {finding}")
        self._sum_up(audit)
        if found:
            audits.alarm(found)
            raise CommandError(
                ngettext("%(count)d finding: see above.", "%(count)d findings: see above.", found) % {"count": found}
            )
        self.stdout.write(_("The audit trail is as it was sealed."))

    def _tell_progress(self, audit: Audit) -> None:
        if audit.seals % TOLD_EVERY == 0:
            self.stderr.write(_("%(count)d events verified…") % {"count": audit.events})

    def _sum_up(self, audit: Audit) -> None:
        self.stdout.write(
            _("%(events)d events under %(seals)d seals, of them %(late)d sealed late; %(unsealed)d are not sealed yet.")
            % {"events": audit.events, "seals": audit.seals, "late": audit.late, "unsealed": audit.unsealed}
        )
        if audit.purged or audit.redacted:
            self.stdout.write(
                _("By rule: %(purged)d events are purged, and %(redacted)d have lost what was personal in them.")
                % {"purged": audit.purged, "redacted": audit.redacted}
            )
        if audit.belated:
            self.stdout.write(
                _(
                    "%(count)d events were sealed more than an hour after they were written, the last of them by seal "
                    "%(seal)d. Nothing sealed then, or the chain was cut there and written anew: a seal that was noted "
                    "elsewhere tells which."
                )
                % {"count": audit.belated, "seal": audit.belated_seal}
            )
        if audit.sealed_through is not None:
            self.stdout.write(
                _("Sealed up to event %(event)d. The last seal: %(seal)s")
                % {"event": audit.sealed_through, "seal": audit.last}
            )


def _parsed(anchor: str) -> tuple[int, bytes]:
    if (given := _ANCHOR.fullmatch(anchor.strip())) is None:
        raise CommandError(_("Give the anchor as it was printed: NUMBER:DIGEST."))
    return int(given["number"]), bytes.fromhex(given["digest"])
