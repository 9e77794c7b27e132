"""Make the groups of staff, or restore their permissions."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from twofa.exceptions import PolicyRefused
from twofa.flows import roles
from twofa.flows.history import Actor


class Command(BaseCommand):
    help = "Make the groups Policy editor, Reviewer, Support and Auditor, and give each exactly its permissions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", "--dry-run", action="store_true", help="Change nothing; fail if something would be changed."
        )
        parser.add_argument(
            "--adopt",
            action="append",
            default=[],
            choices=list(roles.ROLES),
            metavar="GROUP",
            help="Take over a group of this name that exists already; may be repeated.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            found = roles.differences()
            self._tell(found)
            if found:
                raise CommandError(_("The groups differ from the roles. Run “manage.py twofa_roles”."))
            return
        try:
            done = roles.restore(actor=Actor.operator(), adopt=options["adopt"])
        except PolicyRefused as refused:
            raise CommandError(str(refused.detail)) from refused
        self._tell(done)

    def _tell(self, found: list[roles.Difference]) -> None:
        if not found:
            self.stdout.write(_("Every group has exactly its permissions."))
        for difference in found:
            new = _(" (new)") if difference.is_new else ""
            self.stdout.write(f"{difference.role}{new}")
            for codename in difference.missing:
                self.stdout.write(f"  + {codename}")
            for codename in difference.surplus:
                self.stdout.write(f"  - {codename}")
