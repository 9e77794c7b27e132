"""What there is to redeem. A real shop has a table; this one has a list."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import translation
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


@dataclass(frozen=True)
class Product:
    """One thing, its price in points, and the colour of the panel behind its picture."""

    slug: str
    name: StrPromise
    description: StrPromise
    price: Decimal
    tint: str

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
