"""Words in messages: texts from outside made safe, amounts, the alphabet of SMS. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

HIDDEN = "•"
_LONGEST = 500
"""More is not looked at: the patterns below are made for a line, not for a book."""

# Left out whatever they stand for: controls, formats (bidi overrides, zero widths, soft hyphens), private and
# unassigned ones, separators of lines and paragraphs.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters that draw nothing: the Hangul fillers, U+115F and U+1160 (to which NFKC brings the others).
_BLANK_LETTERS = {"\u115f", "\u1160"}
_QUOTES = dict.fromkeys(map(ord, '"“”„‟«»″′ʺ〝〞〟❝❞״ˮ'), "'")
_TWO_QUOTES = re.compile(r"'{2,}")
# Dashes too: an SMS writes all of them as "-", and what was no group before would be one then.
_DOTS = str.maketrans("。｡‐‑‒–—―−", "..-------")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]"
_PILED_MARKS = re.compile(rf"({_MARK}{{2}}){_MARK}+")
# What readers of messages turn into links by themselves: schemes, www, names with a top-level domain, IP numbers.
_LINK = re.compile(r"\S*(?:://|\bwww\.|[^\W_]\.[^\W\d_]{2}|\d{1,3}(?:\.\d{1,3}){3})\S*", re.IGNORECASE)
_MIXED = r"(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])[^\W_]{1,4}"
# "K7 2M 9Q", "(K7) (2M) (9Q)", "K7 - 2M - 9Q".
_GAP = r"(?:\W|_){1,3}"
_MIXED_GROUPS = re.compile(rf"(?<![^\W_]){_MIXED}(?:{_GAP}{_MIXED})+(?![^\W_])")
# "K7-2M-9Q", and what reads as that: "K7_2M_9Q", "(K7)(2M)(9Q)".
_DASH = r"(?:[^\w\s'&%]|_){1,3}"
_DASHED_GROUPS = re.compile(rf"(?<![\w-])[^\W_]{{1,4}}(?:{_DASH}[^\W_]{{1,4}})+(?![\w-])")
# "A4/A5" is no token; of letters and digits the shortest has five.
_SHORTEST = 5
_WORD = re.compile(r"[^\W_]{4,}")
# At most five characters, where the shortest numeric token has six and the usual one of letters has as many.
_MEASURE = re.compile(r"\d{1,3}(?:ml|cl|l|g|kg|mg|mm|cm|m|mb|gb|tb|w|kw|v|hz|p|k|x|h|un|pcs|in)", re.IGNORECASE)
# Those of one character each, "7 K 2 M 9"; but for "2 x 4 x 6 m".
_SPELLED = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,3}[^\W_](?![^\W_])){4,}")
_DIGITS = re.compile(r"\d(?:[\W_]{0,3}\d){5,}|\d(?:[\W_]\d){3,}|\d{4,}")

# 3GPP TS 23.038, 6.2.1 and 6.2.1.1: what is in the extension is sent as an escape and a character.
_GSM7_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENSION = set("\f^{}\\[~]|€")
_GSM7 = _GSM7_BASIC | _GSM7_EXTENSION
GSM7, UCS2 = "GSM-7", "UCS-2"
_ROOM = {GSM7: (160, 153), UCS2: (70, 67)}
"""What one SMS holds by itself, and each of several: those begin with a header that says which belong together."""
_ALIKE = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...", "\u00a0": " "})


def plain(text: str, *, limit: int) -> str:
    """Return ``text`` on one line, without anything invisible, at most ``limit`` characters long.

    For texts of the campaign's own staff. Invisible characters reorder, hide or break what a message says.
    """
    return _cut(" ".join(visible(text).split()), limit)


def visible(text: str) -> str:
    """Return what is seen of ``text``: without what draws nothing, and with a space for each kind of it."""
    return "".join(map(_visible, text))


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
    # Folded, one character may have become eighteen.
    folded = plain(_PILED_MARKS.sub(r"\1", folded), limit=_LONGEST).translate(_QUOTES)
    folded = _TWO_QUOTES.sub("'", folded)
    for pattern, replace in (
        (_LINK, _hide),
        (_MIXED_GROUPS, _hide_unless_measures),
        (_DASHED_GROUPS, _hide_like_token),
        (_SPELLED, _hide_spelled),
        (_WORD, _hide_like_token),
        (_DIGITS, _hide),
    ):
        folded = pattern.sub(replace, folded)
    return _cut(folded, limit) or HIDDEN


def _hide(_match: re.Match[str]) -> str:
    return HIDDEN


def _hide_unless_measures(match: re.Match[str]) -> str:
    groups = re.split(_GAP, match[0])
    is_short = len("".join(groups)) < _SHORTEST
    return match[0] if is_short or all(map(_MEASURE.fullmatch, groups)) else HIDDEN


def _hide_like_token(match: re.Match[str]) -> str:
    return HIDDEN if _is_like_token(match[0]) else match[0]


def _hide_spelled(match: re.Match[str]) -> str:
    letters = [character for character in match[0].lower() if character.isalpha() and character != "x"]
    return HIDDEN if len(letters) > 1 and any(map(str.isdigit, match[0])) else match[0]


def _is_like_token(word: str) -> bool:
    """Tell a word that could be taken for a token from a word: digits among letters, or capitals without a vowel.

    "500ml" and "128GB" are measures, and letters that can be read as a word stay one. A lower-case group counts only
    where each part has a digit, or every name with a number in it ("wi-fi-6") would go.
    """
    parts = re.split(_DASH, word)
    numbered = [any(map(str.isdigit, part)) for part in parts]
    if not any(numbered):
        # Without its accents, which an SMS takes off.
        bare = _without_accents(word)
        return len(parts) == 1 and bare.isascii() and bare.isupper() and not set(bare) & set("AEIOU")
    if all(map(str.isdigit, parts)) or _MEASURE.fullmatch(word):
        return False
    if len(parts) == 1:
        return True
    return len("".join(parts)) >= _SHORTEST and (all(numbered) or word == word.upper())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def amount(value: Decimal, locale: str) -> str:
    """Return an amount as it is read in ``locale``: 15.000 or 15.000,50, in English 15,000 or 15,000.50.

    Not by the host's number formats, which a setting can turn into "15000.0" or anything else: a participant approves
    the number that stands here.
    """
    text = f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"
    return text if locale == "en" else text.translate(str.maketrans(",.", ".,"))


def moment(at: datetime, locale: str) -> str:
    """Return a local time as it is read in ``locale``: 27/11/2026 09:00 UTC-3, in English 2026-11-27 09:00 UTC-3.

    Whoever reads it may live elsewhere than the host. Not by the zone's own short name: "CST" is three of them.
    """
    return f"{at.strftime('%Y-%m-%d %H:%M' if locale == 'en' else '%d/%m/%Y %H:%M')} {_zone(at)}"


def _zone(at: datetime) -> str:
    minutes = (at.utcoffset() or timedelta()) // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    return "UTC" + (f"{sign}{hours}" if minutes else "") + (f":{rest:02d}" if rest else "")


def has_link(text: str) -> bool:
    """Tell whether a phone would make a link of something in ``text``."""
    return _LINK.search(text.translate(_DOTS)) is not None


def invisible(text: str) -> str:
    """Return the first character of ``text`` that cannot be seen or turns others around, or an empty text."""
    return next((character for character in text if _is_hidden(character)), "")


def _is_hidden(character: str) -> bool:
    # The joiner of emoji is needed inside of one, and by itself reorders nothing.
    return character not in "\n\r\t\u200d" and unicodedata.category(character) in _INVISIBLE


@dataclass(frozen=True)
class Size:
    """What an SMS costs: its alphabet, its characters as they are counted in it, and how many messages it is."""

    encoding: str
    characters: int
    segments: int


def segments(text: str) -> Size:
    """Return what ``text`` costs as an SMS (3GPP TS 23.038, 6.2; 23.040, 9.2.3.24.1).

    160 characters of the GSM alphabet or 70 of UCS-2 are one message; of several, each holds 153 or 67. A character of
    the extension counts twice, and so does one beyond UCS-2, such as an emoji: neither is cut in two.
    """
    encoding = GSM7 if set(text) <= _GSM7 else UCS2
    widths = [_width(character, encoding) for character in text]
    alone, each = _ROOM[encoding]
    if sum(widths) <= alone:
        return Size(encoding, sum(widths), 1)
    count, filled = 1, 0
    for width in widths:
        if filled + width > each:
            count, filled = count + 1, 0
        filled += width
    return Size(encoding, sum(widths), count)


def _width(character: str, encoding: str) -> int:
    if encoding == GSM7:
        return 2 if character in _GSM7_EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1


def gsm7(text: str) -> str:
    """Return ``text`` with accents taken off where the alphabet of SMS (3GPP TS 23.038) lacks the letter.

    One such letter turns a message of 160 characters into one of 70, and doubles its price. What has no plain form
    stays as it is.
    """
    return "".join(character if character in _GSM7 else _unaccented(character) for character in text.translate(_ALIKE))


def _unaccented(character: str) -> str:
    base = _without_accents(character)
    return base if base and set(base) <= _GSM7 else character


def _without_accents(text: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))
