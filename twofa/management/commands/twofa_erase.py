"""Erase one participant; what was spent stays, under a pseudonym."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from twofa.exceptions import KeyMissing, PolicyRefused
from twofa.flows import erasures
from twofa.flows.history import Actor
from twofa.models import Participant


class Command(BaseCommand):
    help = "Erase who a participant is: files, contacts, name, number. It cannot be taken back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="The campaign's slug.")
        parser.add_argument("external_id", help="The participant's id in it.")
        parser.add_argument("--reason", default="", help="Why, without naming them: the number of their request. Kept.")

    def handle(self, *args: Any, **options: Any) -> None:
        participant = found(options["campaign"], options["external_id"])
        try:
            erasure = erasures.erase(participant, actor=Actor.operator(), reason=options["reason"])
        except (KeyMissing, PolicyRefused) as refused:
            raise CommandError(str(refused.detail)) from refused
        for kind, count in erasure.counts.items():
            self.stdout.write(f"{kind}: {count}")
        self.stdout.write(_("Erased. What is left is %(pseudonym)s.") % {"pseudonym": erasure.pseudonym})
        if erasure.files_left:
            raise CommandError(
                _(
                    "Files that are still in the storage: %(count)d. Their keys are gone, so nobody can read them. The "
                    "sweeper tries again; twofa_purge tells until they are gone."
                )
                % {"count": erasure.files_left}
            )


def found(campaign: str, external_id: str) -> Participant:
    """Return the participant that a command names. Raises: CommandError."""
    rows = Participant.objects.select_related("campaign")
    participant = rows.filter(campaign__slug=campaign, external_id=external_id).first()
    if participant is None:
        raise CommandError(_("The campaign “%(slug)s” has no such participant.") % {"slug": campaign})
    return participant
