from __future__ import annotations

import hashlib
import hmac
import itertools
import math
import unicodedata
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bindings import BINDING, KEY, RING, SEED, token
from twofa import tokens
from twofa.models.policy import MAX_TOKEN_LENGTH, shortest_token


@pytest.fixture(autouse=True)
def ring(settings):
    settings.TWOFA_TOKEN_KEYS = RING


# --- the formula, written a second time from the design alone ---------------------------------------------------------


def spelled(kind: str, payload: bytes) -> bytes:
    return kind.encode() + len(payload).to_bytes(8, "big") + payload


def hkdf(key: bytes, info: bytes, *, salt: bytes, length: int = 32) -> bytes:
    """RFC 5869, sections 2.2 and 2.3, for any length."""
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    blocks, block = b"", b""
    for counter in range(1, math.ceil(length / 32) + 1):
        block = hmac.new(extracted, block + info + bytes([counter]), hashlib.sha256).digest()
        blocks += block
    return blocks[:length]


def by_the_design(binding: tokens.Binding, symbols: str, length: int) -> str:
    fields = [
        spelled("s", b"twofa/v1"),
        spelled("s", binding.purpose.encode()),
        spelled("i", str(binding.campaign).encode()),
        spelled("i", str(binding.participant).encode()),
        spelled("u", binding.challenge.bytes),
        spelled("i", str(binding.generation).encode()),
        spelled("s", binding.contact.encode()),
        spelled("b", binding.transaction),
        spelled("b", SEED),
    ]
    key = hkdf(KEY, b"token", salt=b"twofa")
    number = int.from_bytes(hmac.new(key, spelled("l", b"".join(fields)), hashlib.sha256).digest(), "big")
    number %= len(symbols) ** length
    text = ""
    while len(text) < length:
        number, digit = divmod(number, len(symbols))
        text = symbols[digit] + text
    return text


def test_hkdf_of_this_file_gives_the_rfc_vector():
    """RFC 5869, appendix A.1: otherwise the comparison below would prove nothing."""
    given_key, salt = bytes([0x0B] * 22), bytes(range(13))
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert hkdf(given_key, bytes(range(0xF0, 0xFA)), salt=salt, length=42).hex() == expected


@pytest.mark.parametrize("label", ["token", "accepted", "superseded", "idempotency"])
def test_subkey_is_hkdf_of_its_label(label: str):
    assert tokens.subkey(KEY, label) == hkdf(KEY, label.encode(), salt=b"twofa")


VECTORS = [
    ("alphanumeric", 6, BINDING, "T60YEJ"),
    ("alphanumeric", 8, BINDING, "MMT60YEJ"),
    ("alphanumeric", 12, BINDING, "RM1XMMT60YEJ"),
    ("numeric", 6, BINDING, "579218"),
    ("numeric", 8, BINDING, "61579218"),
    ("alphanumeric", 6, replace(BINDING, generation=2), "RW3C79"),
    ("alphanumeric", 6, replace(BINDING, purpose="login"), "TNR5GM"),
    ("alphanumeric", 6, replace(BINDING, contact="email:ána@exämple.com"), "R69M73"),
]


@pytest.mark.parametrize(("alphabet", "length", "binding", "expected"), VECTORS)
def test_known_answers_never_change(alphabet: str, length: int, binding: tokens.Binding, expected: str):
    """Frozen: a change of the formula would void every token that is on its way during a deployment."""
    assert token(binding, alphabet=alphabet, length=length) == expected
    assert by_the_design(binding, tokens.ALPHABETS[alphabet], length) == expected


def test_known_answer_of_a_token_without_participant():
    """A contact verification comes before there is a participant."""
    assert token(replace(BINDING, purpose="contact", participant=None)) == "3H7E9E"


def test_known_answers_of_seals():
    sealed = spelled("l", spelled("u", BINDING.challenge.bytes) + spelled("s", b"7K2M9Q"))
    for label in ("accepted", "superseded"):
        expected = hmac.new(hkdf(KEY, label.encode(), salt=b"twofa"), sealed, hashlib.sha256).digest()
        assert tokens.seal(label, BINDING.challenge, "7K2M9Q", kid="k1") == expected
    assert (
        tokens.seal("accepted", BINDING.challenge, "7K2M9Q", kid="k1").hex()
        == "37f0f1000e26ee233b60e6615e388d48865eb1b2fa038aefd49b2fc82f8a95a9"
    )
    assert (
        tokens.seal("superseded", BINDING.challenge, "7K2M9Q", kid="k1").hex()
        == "170a9485eca1a62355c26f96d180769dad957f07a96ecc385e218ac774dc541c"
    )
    assert (
        tokens.fingerprint("idempotency", ["token", "7K2M9Q"], kid="k1").hex()
        == "6f066e563cc5e668914d5071949b88b61db620acb905ef27ebec435efee920fe"
    )
    assert (
        tokens.digest("redemption/1", 1, Decimal("150.00"), "points", []).hex()
        == "004f775be33555e1d44192283963a2b33796145019088aa39c8f285b9813159b"
    )


# --- encoding ---------------------------------------------------------------------------------------------------------

delimiters = st.text(alphabet='|,:;"\\[]{}()\x00\n ab1', max_size=6)
texts = st.one_of(delimiters, st.text(max_size=6), st.sampled_from(["\u00e9", "e\u0301", "\ud800", "None", "", "0"]))
amounts = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6),
    st.sampled_from([Decimal("1.0"), Decimal("1.00"), Decimal(1), Decimal("1E+2"), Decimal(100), Decimal("-0")]),
)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3)), timezone(timedelta(hours=9))]))
scalars = st.one_of(st.none(), texts, st.binary(max_size=6), st.integers(), amounts, moments, st.uuids())
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


def meaning(value: object) -> object:
    """What two values must share to be the same: their kind, and what they are worth."""
    if isinstance(value, list | tuple):
        return ("list", tuple(meaning(item) for item in value))
    if isinstance(value, datetime):
        return ("moment", value.astimezone(UTC))
    return (type(value).__name__, value)


@given(values, values)
def test_encoding_is_injective(one: tokens.Encodable, other: tokens.Encodable):
    assert (tokens.encode(one) == tokens.encode(other)) == (meaning(one) == meaning(other))


@given(delimiters, st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)))
def test_encoding_of_texts_keeps_their_borders(text: str, one: set[int], other: set[int]):
    """The same text cut at different places is a different message."""
    assert (tokens.encode(cut(text, one)) == tokens.encode(cut(text, other))) == (cut(text, one) == cut(text, other))


def cut(text: str, places: set[int]) -> list[str]:
    borders = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(borders)]


KINDS = [None, "", b"", 0, "0", b"0", "None", [], [None], [[]], [""], ["", ""], [["", ""]], "n", UUID(int=0), bytes(16)]


def test_values_of_different_kinds_are_encoded_differently():
    encoded = [tokens.encode(value) for value in KINDS]
    assert len(set(encoded)) == len(KINDS)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["a|b", "c"], ["a", "b|c"], False),
        (["a", ["b", "c"]], [["a", "b"], "c"], False),
        (Decimal("1.0"), Decimal("1.00"), True),
        (Decimal("100"), Decimal("1E+2"), True),
        (Decimal("0.00"), Decimal("-0"), True),
        (Decimal("1.5"), Decimal("-1.5"), False),
        (Decimal("1.5"), Decimal("15"), False),
        (Decimal(1), 1, False),
        ("Jos\u00e9", "Jose\u0301", False),
        (("a",), ["a"], True),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=-3))), True),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), False),
    ],
)
def test_encoding_of_near_values(one: tokens.Encodable, other: tokens.Encodable, same: bool):
    """Amounts that are equal are one message, because columns pad them; texts that only look alike are two."""
    assert (tokens.encode(one) == tokens.encode(other)) is same


def test_normal_forms_of_a_text_differ():
    assert tokens.encode(unicodedata.normalize("NFC", "ã")) != tokens.encode(unicodedata.normalize("NFD", "ã"))


def test_label_of_a_digest_is_part_of_it():
    assert tokens.digest("redemption/1", "a") != tokens.digest("device/1", "a")
    assert tokens.digest("a", "b") != tokens.digest("a", "b", None)


# --- uniformity -------------------------------------------------------------------------------------------------------


def test_every_token_is_as_likely_as_any_other():
    """Exact: of 2^256 numbers each alphanumeric token has the same count, each numeric one the same but for one."""
    for length in range(shortest_token("alphanumeric"), MAX_TOKEN_LENGTH + 1):
        assert 2**256 % 32**length == 0
    for length in range(shortest_token("numeric"), MAX_TOKEN_LENGTH + 1):
        least = 2**256 // 10**length
        assert Decimal(least + 1) / Decimal(least) - 1 < Decimal(2) ** -200


@pytest.mark.parametrize(("alphabet", "bound"), [("alphanumeric", 61.1), ("numeric", 27.9)])
def test_characters_are_spread_evenly_at_each_position(alphabet: str, bound: float):
    """Chi-square against the uniform, at the level of 0.001, with 31 and 9 degrees of freedom; the seeds are fixed."""
    sample = [
        token(alphabet=alphabet, seed=hashlib.sha256(number.to_bytes(4, "big")).digest()) for number in range(4000)
    ]
    symbols = tokens.ALPHABETS[alphabet]
    expected = len(sample) / len(symbols)
    for position in range(6):
        counts = Counter(text[position] for text in sample)
        assert sum((counts[symbol] - expected) ** 2 / expected for symbol in symbols) < bound


# --- binding ----------------------------------------------------------------------------------------------------------

bindings = st.builds(
    tokens.Binding,
    purpose=st.sampled_from(["redemption", "login", "device", "batch", "contact", "step_up:a", "step_up:b"]),
    campaign=st.integers(1, 3),
    participant=st.one_of(st.none(), st.integers(1, 3)),
    challenge=st.sampled_from([UUID(int=1), UUID(int=2)]),
    generation=st.integers(1, 3),
    contact=st.sampled_from(["sms:+5511999990034", "whatsapp:+5511999990034", "email:ana@example.com"]),
    transaction=st.sampled_from([bytes(32), bytes([1] * 32)]),
)


@given(bindings, bindings, st.sets(st.sampled_from([field.name for field in fields(tokens.Binding)]), min_size=1))
def test_token_of_one_binding_is_never_that_of_another(one: tokens.Binding, donor: tokens.Binding, changed: set[str]):
    """At 60 bits a coincidence is none: whatever field differs, the token does."""
    other = replace(one, **{name: getattr(donor, name) for name in changed})
    assert (token(one, length=12) == token(other, length=12)) == (one == other)


@pytest.mark.parametrize("changes", [{"seed": bytes(32)}, {"kid": "k2"}])
def test_seed_and_key_are_both_needed(changes: dict[str, object]):
    assert token(length=12, **changes) != token(length=12)


def test_unknown_key_derives_nothing():
    with pytest.raises(tokens.UnknownKey):
        token(kid="revoked")
    with pytest.raises(tokens.UnknownKey):
        tokens.seal("accepted", BINDING.challenge, "7K2M9Q", kid="revoked")


def test_first_key_of_the_ring_issues(settings):
    assert tokens.issuing_kid() == "k1"
    settings.TWOFA_TOKEN_KEYS = {"k2": KEY, "k1": KEY}
    assert tokens.issuing_kid() == "k2"


def test_key_is_the_same_as_bytes_and_as_text(settings):
    as_bytes = token()
    settings.TWOFA_TOKEN_KEYS = {"k1": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    assert token() == as_bytes


# --- capabilities -----------------------------------------------------------------------------------------------------

ABOUT = (UUID(int=1), 7)


def test_capability_is_the_one_that_was_computed_once(settings):
    """Links that are in mailboxes must stay good. Never change this value: give what changes another label."""
    settings.TWOFA_TOKEN_KEYS = {"k1": bytes(range(32))}
    assert tokens.capability("not-me", ABOUT, kid="k1") == "r0HPAxghkGs7UrJdDtuurg"


def test_capability_has_128_bits_in_the_alphabet_of_addresses():
    given = tokens.capability("not-me", ABOUT, kid="k1")
    assert len(given) == 22
    assert set(given) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("about", [(UUID(int=2), 7), (UUID(int=1), 8), (UUID(int=1),)])
def test_capability_is_for_one_value_under_one_label(about: tokens.Encodable):
    given = tokens.capability("not-me", ABOUT, kid="k1")
    assert tokens.granted(given, "not-me", [about]) is None
    assert tokens.granted(given, "accepted", [ABOUT]) is None
    assert tokens.granted(given, "not-me", [about, ABOUT]) == 1


def test_capability_outlives_the_key_that_issues_and_not_its_own(settings):
    ring = settings.TWOFA_TOKEN_KEYS
    given = tokens.capability("not-me", ABOUT, kid="k1")
    other = bytes(reversed(range(32)))
    settings.TWOFA_TOKEN_KEYS = {"new": other, **ring}
    assert tokens.granted(given, "not-me", [ABOUT]) == 0
    settings.TWOFA_TOKEN_KEYS = {"new": other}
    assert tokens.granted(given, "not-me", [ABOUT]) is None


@pytest.mark.parametrize("given", ["", "A" * 22, "é", "\ud800", "\0"])
def test_what_is_no_capability_grants_nothing(given: str):
    assert tokens.granted(given, "not-me", [ABOUT]) is None
