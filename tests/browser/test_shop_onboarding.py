"""The shop's onboarding page in a real browser: preview, progress, by itself, by keyboard, and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route

from tests.browser.applicant import Applicant, open_identity_shop, specimen, text_file, walk
from tests.browser.visitor import Visitor
from tests.example.shopping import World
from tests.forms import picture
from twofa.flows import onboarding
from twofa.models import IdentityDocument

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(live_server: Any, settings: Any, documents_folder: Any) -> World:
    """A shop whose campaign asks who its members are, at the live server."""
    return open_identity_shop(settings, live_server.url)


@pytest.fixture
def apply(shop: World, live_server: Any, visit: Callable[..., Visitor]) -> Callable[..., Applicant]:
    """`apply(**options of the browser)`: Ana at the page that asks who she is."""

    def arrive(**options: Any) -> Applicant:
        applicant = Applicant(visit(live_server.url, **{"locale": "en", **options}), shop)
        applicant.arrive()
        return applicant

    return arrive


def sent() -> list[str]:
    return list(IdentityDocument.objects.order_by("pk").values_list("status", flat=True))


def test_page_is_readable_in_each_state_at_each_width(shop: World, live_server: Any, visit: Callable[..., Visitor]):
    applicant = Applicant(visit(live_server.url, locale="en"), shop)

    found = [f"{name}: {line}" for name in walk(applicant) for line in applicant.visitor.inspect()]

    assert found == []
    assert applicant.visitor.troubles == []


def test_picture_is_shown_before_it_is_sent_and_its_way_is_told(apply: Callable[..., Applicant]):
    applicant = apply()
    noise = picture(format="JPEG", size=(1600, 1200), quality=100) + b"\0" * 600_000
    step = applicant.choose("cnh:front", {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": noise})

    shown = step.locator(".preview img")
    shown.wait_for()
    assert (shown.get_attribute("src") or "").startswith("blob:")
    assert shown.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1600
    assert shown.get_attribute("alt") == "What you chose, before it is sent"
    assert "IMG_1.jpg · " in step.locator("figcaption").inner_text()

    applicant.page.evaluate(
        """() => {
          window.told = [];
          const note = () => window.told.push(document.querySelector("#step-cnh-front .sending label")?.textContent);
          new MutationObserver(note).observe(document.querySelector("#step-cnh-front .sending"),
            {subtree: true, childList: true, characterData: true});
        }"""
    )
    network = applicant.page.context.new_cdp_session(applicant.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    step.locator("button.primary").click()
    assert step.locator("progress").is_visible()
    applicant.page.locator("#step-cnh-front.step-under_review").wait_for()

    told = applicant.page.evaluate("window.told")
    shares = [int(text.split()[1]) for text in told if text and text.startswith("Sending:")]
    assert shares == sorted(shares)
    assert any(0 < share < 100 for share in shares)
    assert any(text and text.startswith("Sent.") for text in told)
    assert "Driving licence, front: Under review" in applicant.said
    assert sent() == ["pending"]


def test_documents_are_sent_by_keyboard_alone(apply: Callable[..., Applicant]):
    applicant = apply()
    visitor, page = applicant.visitor, applicant.page
    # From now on windows of files are the test's: the first one would otherwise be opened before that is arranged.
    page.on("filechooser", lambda chooser: None)
    page.wait_for_timeout(500)
    for wanted in ("cnh:front", "cnh:back", "selfie"):
        anchor = f"#step-{wanted.replace(':', '-')}"
        if wanted == "cnh:front":
            visitor.tab_to(f"{anchor} summary")
            assert visitor.shows_focus()
        assert page.evaluate("(wanted) => document.activeElement.matches(wanted)", f"{anchor} summary")
        visitor.tab_to(f"{anchor} .pick:not(.pick-camera) input")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(specimen(wanted))
        page.wait_for_function("document.activeElement.matches('button.primary')")
        assert visitor.shows_focus()
        page.keyboard.press("Enter")
        page.locator(f"{anchor}.step-under_review").wait_for()

    assert sent() == ["pending"] * 3
    assert page.locator("h1").inner_text() == "We are looking at it"
    assert page.evaluate("document.activeElement.closest('#afterwards') !== null"), "not lost, but at what comes next"
    assert visitor.troubles == []


def test_documents_are_sent_without_scripts(apply: Callable[..., Applicant]):
    applicant = apply(java_script_enabled=False)
    step = applicant.open("cnh:front")
    with applicant.page.expect_navigation():
        step.locator("button.primary").click()
    assert "Take a picture or choose a file first." in applicant.step("cnh:front").inner_text()

    for wanted in ("cnh:front", "cnh:back", "selfie"):
        with applicant.page.expect_navigation():
            applicant.choose(wanted).locator("button.primary").click()
        assert "Under review" in applicant.step(wanted).inner_text()

    applicant.approve()
    with applicant.page.expect_navigation():
        applicant.page.get_by_role("link", name="Look again").click()
    assert applicant.page.locator("h1").inner_text() == "You are all set"
    assert applicant.visitor.troubles == []


def test_decision_arrives_by_itself_and_what_was_chosen_stays(
    apply: Callable[..., Applicant], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onboarding, "REVIEW_POLL_SECONDS", 1)
    monkeypatch.setattr("example_project.shop.steps._POLL_SECONDS", 1)
    applicant = apply()
    applicant.send("cnh:front")
    applicant.choose("cnh:back")
    applicant.page.evaluate("window.stayed = true")

    applicant.refuse("Too dark")
    applicant.page.locator("#step-cnh-front.step-rejected").wait_for()

    assert "Too dark" in applicant.step("cnh:front").locator("blockquote").text_content()
    assert "Driving licence, front: Not accepted" in applicant.said
    assert applicant.page.evaluate("window.stayed") is True
    assert applicant.step("cnh:back").locator(".preview img").is_visible()
    applicant.step("cnh:back").locator("button.primary").click()
    applicant.page.locator("#step-cnh-back.step-under_review").wait_for()


def test_refused_picture_is_retried_approved_and_the_order_goes_on(
    apply: Callable[..., Applicant], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onboarding, "REVIEW_POLL_SECONDS", 1)
    applicant = apply()
    applicant.send("cnh:front")
    applicant.refuse("Too dark")
    applicant.visitor.go("/onboarding/")
    assert applicant.step("cnh:front").locator("details").get_attribute("open") is not None

    for wanted in ("cnh:front", "cnh:back", "selfie"):
        applicant.send(wanted)
    applicant.approve()
    back = applicant.page.get_by_role("link", name="Back to: Gooseneck kettle")
    applicant.page.get_by_role("heading", name="You are all set").wait_for()
    with applicant.page.expect_navigation():
        back.click()
    with applicant.page.expect_navigation():
        applicant.page.locator("form[action$='/order/'] button").click()

    assert applicant.page.locator("h1").inner_text() == "Type the token we sent you"
    assert applicant.visitor.troubles == []


def lose(route: Route) -> None:
    route.abort("connectionreset") if route.request.method == "POST" else route.fallback()


def test_upload_that_is_lost_keeps_what_was_chosen(apply: Callable[..., Applicant]):
    applicant = apply()
    step = applicant.choose("cnh:front")
    applicant.page.route("**/onboarding/**", lose)
    step.locator("button.primary").click()
    step.locator(".wrong").wait_for()

    assert "send it again" in step.locator(".wrong").inner_text()
    assert step.locator(".preview img").is_visible()
    assert sent() == []
    applicant.page.unroute_all()
    step.locator("button.primary").click()
    applicant.page.locator("#step-cnh-front.step-under_review").wait_for()
    assert sent() == ["pending"]


@pytest.mark.parametrize("much", [False, True])
def test_file_that_cannot_be_taken_is_told_before_it_is_sent(much: bool, apply: Callable[..., Applicant]):
    applicant = apply()
    asked: list[str] = []
    applicant.page.on("request", lambda request: asked.append(request.method))
    large = {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": bytes(10 * 1024 * 1024 + 1)}

    step = applicant.choose("cnh:front", large if much else text_file())

    said = "larger than 10 MB" if much else "JPEG, PNG or WebP"
    assert said in step.locator(".wrong").inner_text()
    assert said in applicant.said
    assert not step.locator("button.primary").is_visible()
    assert "POST" not in asked


@pytest.mark.parametrize("name", ["licence.pdf", "licence.jpg"])
def test_what_cannot_be_drawn_is_told_by_its_name_alone(name: str, apply: Callable[..., Applicant]):
    kind = "application/pdf" if name.endswith("pdf") else "image/jpeg"
    step = apply().choose("cnh:front", {"name": name, "mimeType": kind, "buffer": b"nothing that a browser draws"})

    step.locator(".preview img").wait_for(state="hidden")
    assert f"{name} · " in step.locator("figcaption").inner_text()
    assert step.locator("button.primary").is_visible()


def test_phone_offers_its_camera(apply: Callable[..., Applicant]):
    applicant = apply(is_mobile=True, has_touch=True, viewport={"width": 390, "height": 844})

    for wanted, camera in (("cnh:front", "environment"), ("selfie", "user")):
        pick = applicant.open(wanted).locator(".pick-camera")
        assert pick.is_visible()
        assert pick.locator("input").get_attribute("capture") == camera
        assert pick.bounding_box()["height"] >= 44
    assert applicant.visitor.too_wide() == []
