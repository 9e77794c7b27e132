"""Give a member of staff an authenticator: at this terminal, or by a link that is sent to them."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urljoin

import segno
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from django.utils.translation import gettext as _

from example_project.staff import authenticators


class Command(BaseCommand):
    help = "Set up the authenticator app that a member of staff signs in to the admin with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="An active user with the staff flag.")
        parser.add_argument(
            "--link",
            metavar="BASE",
            help="Print a link for them instead; BASE is the site's address, like https://points.example.com.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"], is_active=True, is_staff=True).first()
        if user is None:
            raise CommandError(
                _(
                    "There is no active member of staff “%(name)s”. "
                    "Make one with createsuperuser, or give a user Staff status in the admin."
                )
                % {"name": options["username"]}
            )
        invitation = authenticators.invite(user)
        if options["link"]:
            self.stderr.write(_("It works once, for 24 hours, and together with the password:"))
            self.stdout.write(urljoin(options["link"], reverse("enroll", args=[authenticators.link_token(invitation)])))
            return
        self._show(invitation.config_url)
        for _try in range(authenticators.MAX_FAILURES):
            if authenticators.confirm(invitation, "".join(self._ask().split())):
                self.stdout.write(_("Set up. Sign in to the admin with the next code."))
                return
            self.stderr.write(str(authenticators.WRONG_CODE))
        raise CommandError(_("Not set up: too many wrong codes."))

    def _show(self, uri: str) -> None:
        drawn = io.StringIO()
        segno.make(uri, micro=False).terminal(out=drawn, compact=True)
        self.stdout.write(drawn.getvalue())
        self.stdout.write(_("Scan this with an authenticator app, or give the app this address:"))
        self.stdout.write(uri)

    def _ask(self) -> str:
        try:
            return input(_("Code that the app shows: "))
        except (EOFError, KeyboardInterrupt):
            raise CommandError(_("Not set up: no code was given.")) from None
