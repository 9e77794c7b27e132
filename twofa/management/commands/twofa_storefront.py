"""Open a storefront, or give one that exists another campaign or key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from twofa.exceptions import PolicyRefused
from twofa.flows import storefronts
from twofa.flows.history import Actor
from twofa.models import Campaign, Scope, Storefront


class Command(BaseCommand):
    help = "Make sure that a storefront exists and serves the campaigns named, and print a new key for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The storefront's name.")
        parser.add_argument(
            "--campaign",
            action="append",
            default=[],
            metavar="SLUG",
            help="A campaign it serves; may be repeated. The key of a storefront without one opens nothing.",
        )
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            choices=Scope.values,
            help="A part of the API that the key opens; may be repeated. None named: all.",
        )
        parser.add_argument("--no-key", action="store_true", help="Issue no key.")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Actor.operator()
        campaigns = [self._campaign(slug) for slug in options["campaign"]]
        storefront = Storefront.objects.filter(name=options["name"]).first()
        if storefront is None:
            storefront = storefronts.open_storefront(name=options["name"], actor=actor)
        storefronts.serve(storefront, campaigns, actor=actor)
        if options["no_key"]:
            return
        try:
            _key, text = storefronts.issue_key(storefront, actor=actor, scopes=options["scope"])
        except PolicyRefused as refused:
            raise CommandError(str(refused.detail)) from refused
        self.stderr.write(_("The key of %(name)s, shown this once:") % {"name": storefront.name})
        self.stdout.write(text)
        if not storefront.campaigns.exists():
            self.stderr.write(_("It opens nothing yet: name a campaign with --campaign, or in the admin."))

    def _campaign(self, slug: str) -> Campaign:
        try:
            return Campaign.objects.get(slug=slug)
        except Campaign.DoesNotExist:
            raise CommandError(
                _("There is no campaign “%(slug)s”. Make it in the admin, or check its slug.") % {"slug": slug}
            ) from None
