"""Telling whether a text names a person: for what staff write that is kept when the person is forgotten.

The text is sealed into the audit trail, where nobody takes it out again. So this one refuses too much rather than too
little: whoever is refused writes the number of a request, which is what is asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from django.views.decorators.debug import sensitive_variables

LETTERS = 4
"""Words of a name that are shorter ("da", "Ana") are words of other texts as well."""
DIGITS = 8
"""So many digits in a row that are also in a number of the person are no chance: a phone without its country code has
them, and part of a CPF."""
LEAST_DIGITS = 6
"""Numbers that are shorter are compared as they are written, and not by their digits."""

_NUMBER = re.compile(r"\d(?:[\s().\-/+]*\d)*")
_WORD = re.compile(r"[^\W\d_]+")


def has_controls(text: str) -> bool:
    """Tell whether a text has characters that are not seen: line breaks, too, make two entries of a log out of one."""
    return any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text)


@sensitive_variables()
def is_named(text: str, *, name: str, handles: tuple[str, ...] = ()) -> bool:
    """Tell whether a text has a word of the name in it, or one of the handles (ids, numbers, addresses).

    However it is written: with or without accents and capitals, a number with or without punctuation and country code.
    """
    plain = _plain(text)
    words = set(_WORD.findall(plain))
    if any(len(word) >= LETTERS and word in words for word in _WORD.findall(_plain(name))):
        return True
    return any(
        _has(plain, _plain(given)) or _shares_number(plain, _plain(given)) for given in (name, *handles) if given
    )


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def _has(text: str, given: str) -> bool:
    """Tell whether a text has another one in it, as a word of its own."""
    return re.search(rf"(?<![\w@+-]){re.escape(given)}(?![\w@+-])", text) is not None


def _shares_number(text: str, given: str) -> bool:
    numbers = list(_numbers(text))
    return any(part in number for part in _parts(given) for number in numbers)


def _parts(given: str) -> Iterator[str]:
    for number in _numbers(given):
        if len(number) >= LEAST_DIGITS:
            length = min(len(number), DIGITS)
            yield from (number[start : start + length] for start in range(len(number) - length + 1))


def _numbers(text: str) -> Iterator[str]:
    """Return the numbers in a text, as digits of our own alphabet without what stands between them."""
    for found in _NUMBER.findall(text):
        yield "".join(str(unicodedata.decimal(character)) for character in found if character.isdecimal())
