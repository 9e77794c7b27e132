"""A visitor of the shop, who reads pages and sends the forms that are on them; the API is a live server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from example_project.loyalty import ledger
from tests import factories, stories
from tests.example.blocks import ROOT
from twofa.channels.memory import outbox
from twofa.flows import approvers
from twofa.flows.history import WORKER
from twofa.models import Campaign, Participant, Redemption

PHONE = "+55 11 99999-0034"
DOCUMENTS = ("cnh:front", "cnh:back", "selfie")
_TOKEN = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{6,12}\b")


class Forms(HTMLParser):
    """The forms of a page: by the address that each is sent to, its fields as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._open: dict[str, str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = {}
            self.found.append((given.get("action", ""), self._open))
        chosen = given.get("type") != "radio" or "checked" in given
        if self._open is not None and tag == "input" and "name" in given and chosen:
            self._open[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


@dataclass
class World:
    """The demo's campaigns and members, made the short way."""

    summer: Campaign
    everyday: Campaign
    ana: Participant
    bruno: Participant
    key: str
    storefront: Any
    member: Participant = field(init=False)
    """Ana in the campaign that asks who she is."""

    @classmethod
    def make(cls) -> World:
        summer = factories.campaign(slug="summer", name="Summer rewards")
        everyday = factories.campaign(slug="everyday", name="Everyday rewards", two_factor_mode="off")
        storefront = factories.storefront(summer, everyday)
        ana = factories.participant(summer, external_id="ana", locale="en")
        bruno = factories.participant(summer, external_id="bruno", locale="en")
        relaxed = factories.participant(everyday, external_id="ana", locale="en")
        for member, amount in ((ana, "50000.00"), (relaxed, "50000.00"), (bruno, "900.00")):
            ledger.grant(member, Decimal(amount), key=str(member.pk))
        return cls(summer, everyday, ana, bruno, factories.key(storefront), storefront)

    def demand_identity(self, documents: tuple[str, ...] = DOCUMENTS, **policy: Any) -> Participant:
        """Open a campaign that asks for documents, with a member who has points and a phone."""
        wanted = {"identity_required": True, "required_documents": list(documents), **policy}
        campaign = factories.campaign(slug="premium", name="Premium rewards", **wanted)
        self.storefront.campaigns.add(campaign)
        self.member = factories.participant(campaign, external_id="ana", locale="en")
        ledger.grant(self.member, Decimal("50000.00"), key=str(self.member.pk))
        self.phone(self.member)
        return self.member

    def found_company(self, *, limit: str = "40000.00", **policy: Any) -> Participant:
        """Open a campaign in which Marta approves what Lucas orders; return her."""
        wanted = {"approver_threshold": Decimal("5000.00"), **policy}
        campaign = factories.campaign(slug="company", name="Company rewards", **wanted)
        self.storefront.campaigns.add(campaign)
        lucas, marta = (
            factories.participant(campaign, external_id=external_id, name=name, locale="en")
            for external_id, name in (("lucas", "Lucas Braga"), ("marta", "Marta Reis"))
        )
        ledger.grant(lucas, Decimal("200000.00"), key=str(lucas.pk))
        factories.device(lucas)
        factories.device(marta, "email")
        approvers.entitle(
            requester=lucas,
            participant=marta,
            by=factories.staff(),
            actor=WORKER,
            reason="director",
            max_amount=Decimal(limit),
        )
        return marta

    def phone(self, of: Participant | None = None, **columns: Any) -> Any:
        """Give a member a phone that is proven."""
        return factories.device(of or self.ana, **columns)


@dataclass
class Shopper:
    """A browser at the shop."""

    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True, raise_request_exception=True))
    path: str = "/"
    page: str = ""
    status: int = 0

    def get(self, path: str) -> str:
        """Open a page, and follow where it leads."""
        return self._at(self.client.get(path, follow=True), path)

    def send(self, action: str, *, form: int = 0, **typed: str) -> str:
        """Fill and send a form of this page, and follow where it leads."""
        return self.post(action, self.fields(action, form) | typed)

    def fields(self, action: str, form: int = 0) -> dict[str, str]:
        """Return what a form of this page would send untouched."""
        matching = [fields for target, fields in Forms(self.page).found if target == action]
        assert matching, f"no form for {action} on {self.path}: {[target for target, _ in Forms(self.page).found]}"
        return dict(matching[form])

    def post(self, action: str, fields: dict[str, str]) -> str:
        """Send what another tab, or a page of before, would send."""
        answer = self.client.post(action, fields, follow=True)
        if answer.redirect_chain:
            assert answer.redirect_chain[0][1] == 302
        return self._at(answer, action)

    def _at(self, answer: Any, path: str) -> str:
        self.path = answer.redirect_chain[-1][0] if answer.redirect_chain else path
        self.page, self.status = answer.content.decode(), answer.status_code
        return self.page

    def sign_in(self, member: str = "summer:ana") -> Shopper:
        self.get("/sign-in/")
        self.send("/sign-in/", customer=member)
        return self

    def order(self, slug: str = "headphones") -> str:
        """Press the button of a product; return the path where that led."""
        self.get(f"/products/{slug}/")
        self.send(f"/products/{slug}/order/")
        return self.path

    def upload(self, wanted: str, data: bytes, name: str = "licence.jpg", **typed: Any) -> str:
        """Choose a file in the form of one document, and send it."""
        action = f"/onboarding/{wanted}/"
        fields: dict[str, Any] = {**self.fields(action), **typed}
        fields["file"] = SimpleUploadedFile(name, data, "image/jpeg")
        return self.post(action, fields)

    def type(self, token: str, step: str = "confirm") -> str:
        """Type a token on the page that asks for it."""
        return self.send(f"{self.path}{step}/", token=token)


def open_shop(settings: Any, address: str) -> World:
    """Give the suite's host the example's pages, a shop that calls the API at ``address``, and the demo's members."""
    settings.ROOT_URLCONF = "example_project.urls"
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:2],
        "django.middleware.locale.LocaleMiddleware",
        *settings.MIDDLEWARE[2:],
    ]
    settings.TWOFA_FULFILLMENT_BACKEND = "example_project.loyalty.fulfillment.PointsBackend"
    settings.SHOP_API_URL = f"{address}/api/v1"
    settings.SHOP_CAMPAIGN = "summer"
    settings.SHOP_MEMBERS = [
        *("summer:ana", "summer:bruno", "everyday:ana", "premium:ana"),
        *("company:lucas", "company:marta"),
    ]
    cache.clear()
    outbox.clear()
    made = World.make()
    settings.SHOP_API_KEY = made.key
    return made


def latest_token() -> str:
    """Deliver what is due, and read the newest message."""
    stories.deliver_due()
    return [message.token for message in outbox if message.token][-1]


def wrong(token: str) -> str:
    return ("0" if token[0] != "0" else "1") + token[1:]


def orders() -> list[tuple[str, str]]:
    """What there is of orders: status and points of each, oldest first."""
    return list(Redemption.objects.order_by("pk").values_list("status", "points"))
