"""Somebody who shows who they are at the shop, and the person who decides about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page

from example_project.loyalty.demo import specimens
from tests import papers
from tests.browser.visitor import Visitor
from tests.example.blocks import ROOT
from tests.example.shopping import World, open_shop
from twofa.models import IdentityDocument

MEMBER = "premium:ana"
NAME, NUMBER = "Ana Souza", "529.982.247-25"


def specimen(wanted: str) -> FilePayload:
    """The picture of a document, as a phone would name it."""
    drawn = {
        "cnh:front": specimens.licence_front(NAME, NUMBER),
        "cnh:back": specimens.licence_back(NUMBER),
        "selfie": specimens.selfie(),
    }
    return {"name": f"IMG_{len(wanted):04d}.jpg", "mimeType": "image/jpeg", "buffer": drawn[wanted]}


def text_file() -> FilePayload:
    return {"name": "licence.txt", "mimeType": "text/plain", "buffer": b"I have one, honestly."}


def no_picture() -> FilePayload:
    """What only the server can tell: it is named and declared as what it is not."""
    return {"name": "licence.jpg", "mimeType": "image/jpeg", "buffer": b"I have one, honestly."}


def open_identity_shop(settings: Any, address: str) -> World:
    """A shop whose campaign asks who its members are."""
    settings.STATICFILES_DIRS = [ROOT / "example_project" / "static"]
    settings.LANGUAGES = [(code, name) for code, name in settings.LANGUAGES if code in ("pt-br", "es", "en")]
    world = open_shop(settings, address)
    world.demand_identity()
    return world


@dataclass
class Applicant:
    """Presses what a person would press."""

    visitor: Visitor
    world: World

    @property
    def page(self) -> Page:
        return self.visitor.page

    @property
    def said(self) -> str:
        """What somebody who listens has heard last."""
        return self.page.locator("#says").inner_text()

    def arrive(self) -> None:
        """Sign in, try to redeem, and end where one is asked for documents."""
        self.visitor.go("/sign-in/")
        self._press(f"button[value='{MEMBER}']")
        self.visitor.go("/products/kettle/")
        self._press("form[action$='/order/'] button")

    def step(self, wanted: str) -> Locator:
        return self.page.locator(f"#step-{wanted.replace(':', '-')}")

    def open(self, wanted: str) -> Locator:
        """Unfold a step."""
        step = self.step(wanted)
        if step.locator("details").get_attribute("open") is None:
            step.locator("summary").click()
        return step

    def choose(self, wanted: str, file: FilePayload | None = None) -> Locator:
        """Choose the file of a document."""
        step = self.open(wanted)
        step.locator(".pick:not(.pick-camera) input").set_input_files(file or specimen(wanted))
        return step

    def send(self, wanted: str, state: str = "under_review") -> None:
        """Choose and send, and wait until the page says how it stands."""
        self.choose(wanted).locator("button.primary").click()
        self.page.locator(f"#step-{wanted.replace(':', '-')}.step-{state}").wait_for()

    def refuse(self, comment: str) -> None:
        """Have a person refuse what waits."""
        papers.decide(IdentityDocument.objects.waiting().get(), approve=False, comment=comment)

    def approve(self) -> None:
        """Have a person approve all that waits."""
        for document in IdentityDocument.objects.waiting().order_by("pk"):
            papers.decide(document, approve=True)

    def _press(self, selector: str) -> None:
        with self.page.expect_navigation(wait_until="load"):
            self.page.locator(selector).first.click()


def walk(applicant: Applicant) -> Iterator[str]:
    """Stop at each state of the page, and say its name."""
    applicant.arrive()
    yield "missing"
    applicant.choose("cnh:front")
    yield "chosen"
    applicant.choose("cnh:front", no_picture()).locator("button.primary").click()
    applicant.page.locator("#step-cnh-front [aria-invalid]").first.wait_for()
    yield "refused-file"
    applicant.send("cnh:front")
    yield "one-sent"
    applicant.refuse("The lower edge is cut off, and there is a reflection over your name.")
    applicant.visitor.go("/onboarding/")
    yield "not-accepted"
    for wanted in ("cnh:front", "cnh:back", "selfie"):
        applicant.send(wanted)
    applicant.visitor.go("/onboarding/")
    yield "under-review"
    applicant.approve()
    applicant.visitor.go("/onboarding/")
    yield "complete"
    applicant.visitor.go("/privacy/")
    yield "privacy"
