"""Words in messages: texts from outside made safe, amounts, the alphabet of SMS. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

HIDDEN = "•"
_LONGEST = 500
"""More is not looked at: the patterns below are made for a line, not for a book."""

# Left out whatever they stand for: controls, formats (bidi overrides, zero widths, soft hyphens), private and
# unassigned ones, separators of lines and paragraphs.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters that draw nothing: the Hangul fillers, U+115F and U+1160 (to which NFKC brings the others).
_BLANK_LETTERS = {"\u115f", "\u1160"}
_QUOTES = dict.fromkeys(map(ord, '"“”„‟«»″'), "'")
_DOTS = str.maketrans("。｡", "..")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]"
_PILED_MARKS = re.compile(rf"({_MARK}{{2}}){_MARK}+")
# What readers of messages turn into links by themselves: schemes, www, names with a top-level domain, IP numbers.
_LINK = re.compile(r"\S*(?:://|\bwww\.|[^\W_]\.[^\W\d_]{2}|\d{1,3}(?:\.\d{1,3}){3})\S*", re.IGNORECASE)
_MIXED = r"(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])[^\W_]{1,4}"
_MIXED_GROUPS = re.compile(rf"(?<![^\W_]){_MIXED}(?: {_MIXED})+(?![^\W_])")
_DASHED_GROUPS = re.compile(r"(?<![\w-])[^\W_]{1,4}(?:-[^\W_]{1,4})+(?![\w-])")
_WORD = re.compile(r"[^\W_]{4,}")
# At most five characters, where the shortest numeric token has six and the usual one of letters has as many.
_MEASURE = re.compile(r"\d{1,3}(?:ml|cl|l|g|kg|mg|mm|cm|m|mb|gb|tb|w|kw|v|hz|p|k|x|h)", re.IGNORECASE)
_DIGITS = re.compile(r"\d(?:[\W_]{0,2}\d){5,}|\d(?:[\W_]\d){3,}|\d{4,}")

_GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
    "\f^{}\\[~]|€"
)
_EXTENDED = set("\f^{}\\[~]|€")
"""Letters of two septets: an escape, and the letter."""
_ALIKE = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...", "\u00a0": " "})


def plain(text: str, *, limit: int) -> str:
    """Return ``text`` on one line, without anything invisible, at most ``limit`` characters long.

    For texts of the campaign's own staff. Invisible characters reorder, hide or break what a message says.
    """
    return _cut(" ".join("".join(map(_visible, text)).split()), limit)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc" or character.isspace():
        return " "
    return "" if category in _INVISIBLE else character


def safe(text: str, *, limit: int) -> str:
    """Return a storefront's text fit to stand in a message beside the token.

    Whoever controls a shop's catalogue writes into a message that the participant trusts, so this text must not be able
    to speak for us: no link to follow, no number to call, no second token ("your code is 482913"), no quote that ends
    ours, no length that pushes the amount out of sight. Runs of four or more digits and words like tokens become "•";
    compatibility forms are folded first, because full-width and circled digits are read as digits.
    """
    folded = unicodedata.normalize("NFKC", text[:_LONGEST]).translate(_DOTS)
    folded = "".join(character for character in folded if character not in _BLANK_LETTERS)
    folded = plain(_PILED_MARKS.sub(r"\1", folded), limit=_LONGEST * 18).translate(_QUOTES)
    for pattern, replace in (
        (_LINK, _hide),
        (_MIXED_GROUPS, _hide),
        (_DASHED_GROUPS, _hide_like_token),
        (_WORD, _hide_like_token),
        (_DIGITS, _hide),
    ):
        folded = pattern.sub(replace, folded)
    return _cut(folded, limit) or HIDDEN


def _hide(_match: re.Match[str]) -> str:
    return HIDDEN


def _hide_like_token(match: re.Match[str]) -> str:
    return HIDDEN if _is_like_token(match[0]) else match[0]


def _is_like_token(word: str) -> bool:
    """Tell a word that could be taken for a token from a word: digits among letters, or capitals without a vowel.

    "500ml" and "128GB" are measures, and letters that can be read as a word stay one. A lower-case group counts only
    where each part has a digit, or every name with a number in it ("wi-fi-6") would go.
    """
    parts = word.split("-")
    numbered = [any(map(str.isdigit, part)) for part in parts]
    if not any(numbered):
        return len(parts) == 1 and word.isascii() and word.isupper() and not set(word) & set("AEIOU")
    if all(map(str.isdigit, parts)) or _MEASURE.fullmatch(word):
        return False
    return len(parts) == 1 or all(numbered) or word == word.upper()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def amount(value: Decimal, locale: str) -> str:
    """Return an amount as it is read in ``locale``: 15.000 or 15.000,50, in English 15,000 or 15,000.50.

    Not by the host's number formats, which a setting can turn into "15000.0" or anything else: a participant approves
    the number that stands here.
    """
    text = f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"
    return text if locale == "en" else text.translate(str.maketrans(",.", ".,"))


def gsm7(text: str) -> str:
    """Return ``text`` with accents taken off where the alphabet of SMS (3GPP TS 23.038) lacks the letter.

    One such letter turns a message of 160 characters into one of 70, and doubles its price. What has no plain form
    stays as it is.
    """
    return "".join(character if character in _GSM7 else _unaccented(character) for character in text.translate(_ALIKE))


@dataclass(frozen=True)
class Segments:
    """How an SMS is cut (3GPP TS 23.040, 9.2.3.24.1): its alphabet, its length in units of it, and its parts."""

    alphabet: str
    units: int
    segments: int


def segments(text: str) -> Segments:
    """Return how many segments an SMS of this text has: each is charged as a message of its own."""
    if set(text) <= _GSM7:
        units = len(text) + sum(character in _EXTENDED for character in text)
        return Segments("GSM-7", units, _parts(units, whole=160, part=153))
    units = len(text.encode("utf-16-be")) // 2
    return Segments("UCS-2", units, _parts(units, whole=70, part=67))


def _parts(units: int, *, whole: int, part: int) -> int:
    return 1 if units <= whole else -(-units // part)


def _unaccented(character: str) -> str:
    base = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    return base if base and set(base) <= _GSM7 else character
