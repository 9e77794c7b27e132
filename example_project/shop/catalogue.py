"""What there is to redeem. A real shop has a table; this one has a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from django.utils import translation
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


class Orderable(Protocol):
    """What an order is begun for: its name in a form, and the prices that were shown."""

    @property
    def slug(self) -> str: ...

    @property
    def price_tag(self) -> str: ...


@dataclass(frozen=True)
class Product:
    """One thing, its price in points, and the colour of the panel behind its picture."""

    slug: str
    name: StrPromise
    description: StrPromise
    price: Decimal
    tint: str

    @property
    def price_tag(self) -> str:
        """Return its price as a form keeps it."""
        return str(self.price)

    @property
    def art(self) -> str:
        """Return the template that draws it."""
        return f"shop/art/{self.slug}.svg"

    def name_in(self, language: str) -> str:
        """Return its name in one language: an order keeps the one that it was begun in."""
        with translation.override(language):
            return str(self.name)


PRODUCTS = (
    Product(
        "headphones",
        _("Headphones"),
        _("Over the ear, thirty hours of battery, and the street stays outside."),
        Decimal("15000.00"),
        "sage",
    ),
    Product(
        "kettle",
        _("Gooseneck kettle"),
        _("Pours slowly and exactly where you want it. Holds 0.9 litres."),
        Decimal("6200.00"),
        "sand",
    ),
    Product(
        "lamp",
        _("Desk lamp"),
        _("A warm light on a long arm, dimmed by a turn of its head."),
        Decimal("4800.00"),
        "sky",
    ),
    Product(
        "backpack",
        _("Day backpack"),
        _("Twenty litres of waxed cotton, with a pocket that a laptop fits."),
        Decimal("9500.00"),
        "blush",
    ),
    Product(
        "bicycle",
        _("City bicycle"),
        _("Eight gears, a dynamo light, mudguards. It arrives assembled."),
        Decimal("48000.00"),
        "sky",
    ),
    Product(
        "plant",
        _("Rubber plant"),
        _("Fifty centimetres tall, in a clay pot. Asks for little water."),
        Decimal("1200.00"),
        "sage",
    ),
    Product(
        "books",
        _("Three novels"),
        _("Chosen by the bookshop round the corner, wrapped in paper."),
        Decimal("2300.00"),
        "blush",
    ),
    Product(
        "mug",
        _("Stoneware mug"),
        _("Thrown by hand, so no two are alike. Safe in the dishwasher."),
        Decimal("649.50"),
        "sand",
    ),
)
_BY_SLUG = {product.slug: product for product in PRODUCTS}


def find(slug: str) -> Product | None:
    """Return a product, or None."""
    return _BY_SLUG.get(slug)


@dataclass(frozen=True)
class Basket:
    """Several products at once, each as many times as wanted."""

    quantities: Mapping[str, int]
    slug: str = ""
    """None that a product could have."""

    @property
    def price_tag(self) -> str:
        """Return all prices: what is in the basket is chosen after they were shown."""
        return " ".join(f"{product.slug}:{product.price}" for product in PRODUCTS)

    @property
    def lines(self) -> list[tuple[Product, int]]:
        """Return what is in it, in the catalogue's order."""
        wanted = ((product, self.quantities.get(product.slug, 0)) for product in PRODUCTS)
        return [(product, quantity) for product, quantity in wanted if quantity]

    @property
    def total(self) -> Decimal:
        """Return what it costs."""
        return sum((product.price * quantity for product, quantity in self.lines), Decimal(0))
