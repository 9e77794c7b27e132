"""Signing up, an authenticator app and its recovery codes, signing in again: each page readable, in one language."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.languages import leftovers
from tests.browser.newcomer import PASSWORD, Newcomer, walk
from tests.browser.visitor import WIDTHS, Visitor
from tests.example.serving import Served

Arrive = Callable[..., Newcomer]
_FOCUS = "document.activeElement.id"


@pytest.fixture
def arrive(served: Served, visit: Callable[..., Visitor]) -> Arrive:
    """`arrive(locale=..., java_script_enabled=...)`: somebody new, at a browser of their own."""

    def come(**options: object) -> Newcomer:
        return Newcomer(visit(served.base, **{"locale": "en", **options}), served.var / "messages")

    return come


def test_page_on_the_way_in_is_readable_at_each_width_and_in_each_scheme(arrive: Arrive):
    newcomer = arrive()

    found, seen = [], set()
    for name in walk(newcomer, "+55 11 99999-0151", "bia151"):
        seen.add(newcomer.visitor.where)
        found += [f"{name}: {line}" for line in newcomer.visitor.inspect()]

    assert {"/sign-up/", "/sign-up/token/", "/safety/", "/sign-in/", "/sign-in/token/"} <= seen
    assert found == []
    assert newcomer.visitor.troubles == []


@pytest.mark.parametrize(
    ("code", "language", "number"), [("pt-BR", "pt_BR", "+55 11 99999-0153"), ("es", "es", "+55 11 99999-0154")]
)
def test_page_on_the_way_in_is_in_one_language(arrive: Arrive, code: str, language: str, number: str):
    newcomer = arrive(locale=code)
    newcomer.page.set_viewport_size({"width": WIDTHS[0], "height": 900})

    found: dict[str, list[str]] = {}
    for name in walk(newcomer, number, f"bia{number[-3:]}"):
        texts = newcomer.visitor.texts()
        found[name] = leftovers(texts, language, "example_project", "twofa") + newcomer.visitor.too_wide()
        assert newcomer.page.get_attribute("html", "lang") == code.lower()

    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_is_wrong_has_the_focus_and_its_field_says_so(arrive: Arrive):
    newcomer = arrive()
    marked = {"sign-up-refused": "notice", "sign-up-token-refused": "password", "sign-in-app-refused": "password"}

    for name in walk(newcomer, "+55 11 99999-0152", "bia152"):
        if name in marked:
            assert newcomer.page.evaluate(_FOCUS) == marked[name], name
            assert newcomer.page.locator("[aria-invalid]").count() == 1, name
        if name == "app-refused":
            assert "newest message" not in newcomer.page.locator("main").inner_text()


def test_app_is_shown_as_a_picture_and_codes_with_letters_can_be_typed(arrive: Arrive):
    newcomer = arrive()
    page, drawn, typed, codes = newcomer.page, [], [], []

    for name in walk(newcomer, "+55 11 99999-0155", "bia155"):
        if name == "safety-new":
            assert [button.inner_text() for button in page.locator(".sessions button").all()] == ["Sign out"]
        if name == "app":
            drawn.append(page.locator(".qr img").evaluate("(image) => image.complete && image.naturalWidth"))
        if name in ("sign-in-app", "agree-by-app"):
            typed.append(newcomer.field.get_attribute("inputmode"))
        if name.startswith("recovery-codes"):
            codes.append(frozenset(page.locator("#codes code").all_inner_texts()))
            assert page.locator("[data-print], [data-copy]").evaluate_all("(all) => all.every((one) => !one.hidden)")

    assert len(drawn) == 1
    assert drawn[0] > 0
    assert typed == ["text", "text"]
    assert [len(each) for each in codes] == [10, 10]
    assert not codes[0] & codes[1]


def test_way_in_is_walked_without_scripts(arrive: Arrive):
    newcomer = arrive(java_script_enabled=False)

    names = list(walk(newcomer, "+55 11 99999-0156", "bia156"))

    assert names[-1] == "recovery-codes-new"
    assert newcomer.page.locator("#codes code").count() == 10
    assert newcomer.page.locator("[data-print]:visible, [data-copy]:visible").count() == 0, "nothing that does nothing"


def test_member_who_has_a_phone_comes_back_by_its_token_and_ends_the_session_elsewhere(arrive: Arrive):
    first, second = arrive(), arrive()
    for name in walk(first, "+55 11 99999-0157", "bia157"):
        if name == "safety-new":
            break
    second.visitor.go("/sign-in/")
    second.fill(username="bia157", password=PASSWORD)
    second.fill(token=second.token(), password=PASSWORD)
    second.visitor.go("/safety/")
    rows = second.page.locator(".sessions li")
    assert rows.count() == 2

    second.press(".sessions li:not(:has(strong)) button")

    assert rows.count() == 1
    assert second.visitor.where == "/safety/"
    first.page.wait_for_timeout(10_000)  # what a page believes that was asked a moment ago
    first.visitor.go("/safety/")
    assert first.visitor.where == "/sign-in/"
