"""The example's own pages, against `make serve`: readable to all, nothing cut, in one language; the staff's door."""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django_otp.oath import TOTP

from example_project.loyalty.demo import seed
from example_project.shop.catalogue import PRODUCTS
from tests.browser.customer import Customer, walk
from tests.browser.languages import leftovers
from tests.browser.visitor import WIDTHS, Visitor
from tests.example.serving import Served


def arrive(served: Served, visit: Callable[..., Visitor], locale: str) -> Customer:
    return Customer(visit(served.base, locale=locale), served.var / "messages")


def test_page_of_the_shop_is_readable_at_each_width_and_in_each_scheme(served: Served, visit: Callable[..., Visitor]):
    customer = arrive(served, visit, "en")

    found, names = [], []
    for name in walk(customer, "+55 11 99999-0037"):
        names.append(name)
        found += [f"{name}: {line}" for line in customer.visitor.inspect()]

    assert len(names) >= 15
    assert found == []
    assert customer.visitor.troubles == []


@pytest.mark.parametrize(
    ("code", "language", "number"), [("pt-BR", "pt_BR", "+55 11 99999-0035"), ("es", "es", "+55 11 99999-0036")]
)
def test_page_of_the_shop_is_in_one_language(
    code: str, language: str, number: str, served: Served, visit: Callable[..., Visitor]
):
    customer = arrive(served, visit, code)
    customer.page.set_viewport_size({"width": WIDTHS[0], "height": 900})

    found: dict[str, list[str]] = {}
    for name in walk(customer, number):
        texts = customer.visitor.texts()
        if name.startswith(("order", "phone")):
            # An order keeps the words in which it was begun, and a message is in the member's own language.
            texts = [text for text in texts if text not in {str(product.name) for product in PRODUCTS}]
        left = [] if name == "phone" else leftovers(texts, language, "example_project", "twofa")
        found[name] = left + customer.visitor.too_wide()
        assert customer.page.get_attribute("html", "lang") == code.lower()

    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("code", ["en", "pt-BR", "es"])
def test_frame_keeps_its_lines(code: str, served: Served, visit: Callable[..., Visitor]):
    customer = arrive(served, visit, code)
    page = customer.page
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    customer.visitor.go("/sign-in/")
    assert page.evaluate("document.querySelector('.brand').scrollHeight") <= 44, "beside both ways in as well"
    customer.sign_in("everyday:ana")
    customer.order("mug")  # leaves a balance with decimals

    words, *links = (page.locator(selector) for selector in (".brand span", ".bar nav a", ".foot nav a"))
    assert words.bounding_box()["height"] < 30
    assert page.evaluate("document.querySelector('.brand').scrollHeight") <= 44, "it is there as a whole"
    for row in links:
        assert len({box["y"] for one in row.all() if (box := one.bounding_box())}) == 1
    safety, way_out = (page.locator(f".visitor {tag}").bounding_box() for tag in ("a", "button"))
    assert abs(safety["y"] + safety["height"] / 2 - way_out["y"] - way_out["height"] / 2) < 2, "they stand side by side"
    assert abs(way_out["x"] + way_out["width"] - WIDTHS[0] + page.locator(".brand").bounding_box()["x"]) < 2
    assert page.locator(".sum .code").last.bounding_box()["height"] < 40

    customer.visitor.go("/phone/")
    heading, pause = (page.locator(selector).bounding_box() for selector in (".title h1", "#pause"))
    assert abs(heading["y"] + heading["height"] / 2 - pause["y"] - pause["height"] / 2) < 1
    page.set_viewport_size({"width": 320, "height": 900})
    for path in ("/", "/orders/", "/contacts/", "/sign-in/"):
        customer.visitor.go(path)
        assert customer.visitor.too_wide() == []


def test_lists_and_forms_end_at_one_edge(served: Served, visit: Callable[..., Visitor]):
    customer = arrive(served, visit, "en")
    customer.sign_in()
    customer.order("mug")

    edges = set()
    for path, selectors in (("/orders/", [".orders"]), ("/contacts/", [".devices", ".two"])):
        customer.visitor.go(path)
        boxes = [customer.page.locator(selector).bounding_box() for selector in selectors]
        edges |= {box["x"] + box["width"] for box in boxes}

    assert len(edges) == 1


def test_documentation_of_the_api_loads_nothing_from_elsewhere(served: Served, visit: Callable[..., Visitor]):
    visitor = visit(served.base)

    visitor.go("/api/v1/docs/")
    visitor.page.locator("main, #swagger-ui, [class*=swagger], redoc").first.wait_for()

    assert visitor.troubles == []


# --- the staff's door ------------------------------------------------------------------------------------------------


def authenticator_code(served: Served) -> str:
    address = urlsplit(served.find(r"(otpauth://totp/\S+)"))
    return f"{TOTP(b32decode(parse_qs(address.query)['secret'][0])).token():06d}"


def log_in(visitor: Visitor, password: str, code: str) -> None:
    visitor.go("/admin/")
    visitor.page.locator("[name=username]").fill(seed.STAFF)
    visitor.page.locator("[name=password]").fill(password)
    visitor.page.locator("[name=code]").fill(code)
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.locator("[name=code]").press("Enter")


def test_admin_opens_to_password_and_authenticator_together(served: Served, visit: Callable[..., Visitor]):
    password = served.find(rf"{seed.STAFF} / (\S+)")

    visitor = visit(served.base, locale="en")
    visitor.go("/admin/")
    found = visitor.inspect()
    visitor.page.evaluate("document.querySelectorAll('form').forEach((form) => { form.noValidate = true; })")
    visitor.page.locator("[name=username]").fill(seed.STAFF)
    visitor.page.locator("[name=password]").fill(password)
    with visitor.page.expect_navigation(wait_until="load"):
        visitor.page.locator("[name=password]").press("Enter")
    assert visitor.where == "/admin/login/"
    found += visitor.inspect()
    visitor.go("/admin/twofa/redemption/")
    assert visitor.where == "/admin/login/"

    log_in(visitor, password, authenticator_code(served))
    assert visitor.where == "/admin/"
    assert visitor.go("/admin/twofa/redemption/").status == 200
    assert visitor.where == "/admin/twofa/redemption/"
    assert found == []
    assert visitor.troubles == []
