"""The review in a real browser: readable to all, done by keys alone, and done without a script."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from tests.admin.conftest import World, page
from tests.browser.admin_pages import DJANGOS
from tests.browser.desk import lay
from tests.browser.visitor import Visitor
from twofa.models import Event, IdentityDocument


def begin(visitor: Visitor, address: str) -> None:
    visitor.go(address)
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.get_by_role("button", name="Begin the review").click()


def states(world: World) -> dict[str, str]:
    rows = IdentityDocument.objects.filter(participant=world.shop.participant, replaced_at=None)
    return {f"{row.kind}:{row.side}": row.status for row in rows.order_by("created_at")}


def test_review_is_readable_at_each_width_and_in_each_scheme(
    world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    address = lay(world)
    visitor = signed_in(boss, others=DJANGOS)
    visitor.go(address)
    found = visitor.inspect()
    begin(visitor, address)

    found += visitor.inspect()
    for key in ("+", "o", "r"):
        visitor.page.keyboard.press(key)
    found += visitor.inspect()

    assert found == []
    assert visitor.troubles == []
    # Each picture that was loaded was looked at by somebody with a name.
    assert set(Event.objects.filter(type="document.viewed").values_list("actor", flat=True)) == {"boss"}


def test_pictures_lie_side_by_side_on_a_screen_and_below_one_another_on_a_phone(
    world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    visitor = signed_in(boss)
    begin(visitor, lay(world))
    tops = "(all) => all.map((one) => Math.round(one.getBoundingClientRect().top))"

    first, second, _third = visitor.page.locator(".twofa-card").evaluate_all(tops)
    assert first == second
    visitor.page.set_viewport_size({"width": 390, "height": 900})
    first, second, _third = visitor.page.locator(".twofa-card").evaluate_all(tops)
    assert second > first
    loaded = "(all) => all.map((one) => one.complete && one.naturalWidth > 0)"
    assert visitor.page.locator(".twofa-card img").evaluate_all(loaded) == [True] * 3


def test_what_is_pressed_on_a_phone_is_as_high_as_a_thumb(
    world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    address = lay(world)
    visitor = signed_in(boss, viewport={"width": 390, "height": 900})
    low = """(all) => all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
      .map((one) => one.textContent.trim())"""

    visitor.go(page("identitydocument", "changelist"))
    visitor.page.locator("#changelist-filter summary").first.click()
    pressed = ".twofa-begin button, .twofa-fold > summary, #changelist-filter li a, #result_list a.twofa-door"
    assert visitor.page.locator(pressed).count() > 20
    assert visitor.page.locator(pressed).evaluate_all(low) == []
    begin(visitor, address)
    visitor.page.keyboard.press("r")
    pressed = ".twofa-review :is(button, select, fieldset label, figcaption a, .twofa-beside p a, .twofa-card header a)"
    assert visitor.page.locator(pressed).count() > 20
    assert visitor.page.locator(pressed).evaluate_all(low) == []


def test_review_is_done_by_keyboard_alone(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    lay(world)
    visitor = signed_in(boss)
    visitor.go(page("identitydocument", "changelist"))
    visitor.tab_to(".twofa-begin button")
    visitor.follow()  # the twin, who has waited longest
    visitor.page.locator(".twofa-card img").wait_for()
    visitor.follow("n")  # and on to the participant on the desk

    visitor.page.keyboard.press("a")
    visitor.follow("Enter")
    visitor.page.keyboard.press("r")
    assert visitor.page.evaluate("document.activeElement.name") == "reason"
    visitor.page.keyboard.press("c")  # "cannot be read": within a field a letter is a letter
    visitor.tab_to("[name=comment]")
    visitor.page.keyboard.type("a nero, j k o")
    visitor.tab_to(".twofa-card:focus-within .twofa-send button")
    visitor.follow("Enter")

    assert visitor.page.locator(".messagelist .success").is_visible()
    assert states(world) == {"selfie:single": "pending", "rg:front": "approved", "rg:back": "rejected"}
    row = IdentityDocument.objects.get(participant=world.shop.participant, kind="rg", side="back")
    assert (row.reason, row.comment) == ("unreadable", "a nero, j k o")
    assert visitor.troubles == []


def test_keys_move_between_documents_and_turn_the_picture(
    world: World, boss: Client, signed_in: Callable[..., Visitor]
):
    visitor = signed_in(boss)
    begin(visitor, lay(world))
    focused = "[...document.querySelectorAll('.twofa-card')].indexOf(document.activeElement)"
    image = visitor.page.locator(".twofa-card").nth(1).locator("img")

    visitor.page.keyboard.press("j")
    assert visitor.page.evaluate(focused) == 1
    visitor.page.keyboard.press("o")
    visitor.page.keyboard.press("+")
    assert "rotate(90deg)" in str(image.evaluate("(one) => one.style.transform"))
    wide = image.evaluate("(one) => one.closest('.twofa-sheet').offsetWidth > one.closest('.twofa-frame').offsetWidth")
    assert wide
    for key in ("-", "o", "o", "o"):
        visitor.page.keyboard.press(key)
    assert image.evaluate("(one) => one.style.transform") == ""
    visitor.page.keyboard.press("k")
    assert visitor.page.evaluate(focused) == 0
    visitor.page.keyboard.press("Control+a")
    assert visitor.page.locator("[name=verdict]:checked").count() == 0
    assert visitor.troubles == []


def test_review_is_done_without_a_script(world: World, boss: Client, signed_in: Callable[..., Visitor]):
    address = lay(world)
    visitor = signed_in(boss, java_script_enabled=False)
    begin(visitor, address)
    card = visitor.page.locator(".twofa-card").first

    assert card.get_by_label("Reason").is_visible()
    card.get_by_label("Reject").check()
    card.get_by_label("Reason").select_option("unreadable")
    with visitor.page.expect_navigation(wait_until="load"):
        card.get_by_role("button", name="Decide").click()

    assert states(world)["rg:front"] == "rejected"
    assert visitor.page.get_by_role("link", name="Open in a new tab").count() == 3


def test_page_needs_no_inline_script_and_no_inline_style(world: World, boss: Client):
    address = lay(world)
    boss.post(address, {"do": "claim"})
    content = boss.get(address).content.decode().partition('id="content-main"')[2]

    assert "data-twofa-lens" in content
    assert "style=" not in content
    assert "<script" not in content.partition("</main>")[0]
    assert "onclick" not in content
