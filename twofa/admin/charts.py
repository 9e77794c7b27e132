"""Charts: where each bar of a picture stands. The template draws them as SVG, and escapes what they say.

No script, and no picture from elsewhere. A picture is as wide as the page, so nothing in it is text: what it says is
beside it in HTML, which a phone does not shrink. Places and lengths carry the meaning, colour none of it, and every
number is in a table as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

HEIGHT = 40
"""Of a row of upright bars, in the units of its picture; a bar and the gap behind it are one unit wide."""
LEAST = 1.5
"""What is not nothing is seen, however much more there is elsewhere."""
GAP = 0.2


@dataclass(frozen=True)
class Bar:
    """One bar. Its measures are texts: a template would write a number as people of some language do."""

    name: StrOrPromise
    count: int
    place: str
    x: str
    y: str
    height: str


@dataclass(frozen=True)
class Bars:
    """A row of upright bars on one scale, and what a screen reader says of it."""

    title: StrOrPromise
    description: StrOrPromise
    bars: list[Bar]
    tone: str = ""
    height = HEIGHT
    bar_width = f"{1 - GAP:.2f}"

    @property
    def width(self) -> int:
        return max(len(self.bars), 1)


def upright(counts: Sequence[int], names: Iterable[StrOrPromise], *, most: int) -> list[Bar]:
    """Return one bar for each count, on a scale that ends at ``most``."""
    return [_upright(place, count, name, most) for place, (count, name) in enumerate(zip(counts, names, strict=True))]


def _upright(place: int, count: int, name: StrOrPromise, most: int) -> Bar:
    height = max(HEIGHT * count / most, LEAST) if count and most else 0.0
    return Bar(name, count, str(place), f"{place + GAP / 2:.2f}", f"{HEIGHT - height:.2f}", f"{height:.2f}")


def percent(part: float | None) -> str:
    """Return how far a lying bar of 100 units is filled."""
    return f"{100 * min(max(part or 0.0, 0.0), 1.0):.2f}"
