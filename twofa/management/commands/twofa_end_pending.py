"""End every pending challenge: the first thing to do after a restore, before the doors open again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from twofa.flows import restores
from twofa.flows.history import Actor


class Command(BaseCommand):
    help = "End every challenge that is pending, and give back the points that wait for it. For use after a restore."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reason",
            required=True,
            help="Why; it stands in the history of all that is cancelled. What is past its deadline expires.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ended, failed = restores.end_pending(actor=Actor.operator(), reason=options["reason"])
        self.stdout.write(_("Ended: %(count)d.") % {"count": ended})
        if failed:
            raise CommandError(_("Not ended: %(count)d. The log says why; run it again.") % {"count": failed})
