"""Tokens: derive, normalise, compare. Pure: no database, no clock, no Django state but the key ring.

The sealed seed. A token is computed from a random seed (in the database) and a key (outside of it), and is stored
nowhere. Why neither half alone:

- A random token stored in clear is readable by whoever reads the database; stored as a hash it falls to 2^30 guesses,
  which is seconds (OWASP MFA Cheat Sheet). Here a dump holds only seeds, useless without the key.
- A token computed from a key and public ids alone makes the key a master key over every past and future challenge.
  Here the key is useless without 32 random bytes that live as long as the challenge does.

Because it is computed, a repeated delivery sends the same text, and no queue ever holds a token.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from twofa.conf import conf
from twofa.exceptions import TokenMalformed

SEED_BYTES = 32
VERSION = "twofa/v1"

ALPHANUMERIC = "alphanumeric"
NUMERIC = "numeric"
# Crockford's base 32 has no I, L, O, U: nothing in it is misread on a small screen or over the phone.
ALPHABETS = {ALPHANUMERIC: "0123456789ABCDEFGHJKMNPQRSTVWXYZ", NUMERIC: "0123456789"}
_CONFUSABLES = str.maketrans({"O": "0", "I": "1", "L": "1", " ": None, "-": None})
_CAPABILITY_BYTES = 16
# What a person may paste: the token with separators. A longer text is refused before any work is done on it.
_MAX_INPUT = 64

Encodable = None | bytes | str | int | Decimal | datetime | UUID | Sequence["Encodable"]


class UnknownKey(LookupError):
    """The key that sealed this token is not in the ring: revoked, or another installation's database."""


def encode(value: Encodable) -> bytes:
    """Encode injectively: two values have one encoding only if they are equal.

    Every value carries its type and its length, so that no choice of texts moves a boundary: joined with a delimiter
    ``("a|b", "c")`` and ``("a", "b|c")`` would be one message, and a token for one would approve the other. Decimals
    that are equal (1.0, 1.00) are encoded equally, because the column they come back from pads them.
    """
    tag, payload = _tagged(value)
    return tag + len(payload).to_bytes(8, "big") + payload


def _tagged(value: Encodable) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"n", b""
        case bytes():
            return b"b", value
        case str():
            # "surrogatepass": a lone surrogate is one more text, not a crash in the middle of a confirm.
            return b"s", value.encode("utf-8", "surrogatepass")
        case int():
            return b"i", str(int(value)).encode()
        case Decimal():
            return b"d", _canonical_decimal(value)
        case datetime():
            return b"t", value.astimezone(UTC).isoformat(timespec="microseconds").encode()
        case UUID():
            return b"u", value.bytes
        case _:
            return b"l", b"".join(encode(item) for item in value)


def _canonical_decimal(value: Decimal) -> bytes:
    if not value.is_finite():
        # No amount of ours, but one that a column can be made to hold: it is another text, not a crash in a confirm.
        return str(value).encode()
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    if not stripped:
        return b"0e0"
    return f"{'-' if sign else ''}{stripped}e{int(exponent) + len(text) - len(stripped)}".encode()


def plain(value: object) -> Encodable:
    """Return parsed JSON as something to encode, whatever the order of its members.

    Any JSON has an encoding: a row that somebody wrote to by hand must be told as changed, not crash the comparison.
    """
    if isinstance(value, dict):
        return ["object", *([name, plain(value[name])] for name in sorted(value))]
    if isinstance(value, list | tuple):
        return ["array", *(plain(item) for item in value)]
    if isinstance(value, bool | float):
        return [type(value).__name__, repr(value)]
    if value is None or isinstance(value, str | int):
        return value
    return ["other", str(value)]


def digest(label: str, *fields: Encodable) -> bytes:
    """Return the SHA-256 of ``fields``; ``label`` names what they are and the version of the format."""
    return sha256(encode((label, *fields))).digest()


@lru_cache(maxsize=64)
def subkey(key: bytes, label: str) -> bytes:
    """Derive a 32-byte key for one purpose: HKDF-SHA256 (RFC 5869), ``info`` = label.

    One purpose, one key (OWASP Key Management): a value made for one use can then never be passed off as another's.
    """
    extracted = hmac.digest(b"twofa", key, "sha256")
    return hmac.digest(extracted, label.encode() + b"\x01", "sha256")


def issuing_kid() -> str:
    """Return the id of the key that seals new tokens: the first of the ring."""
    return next(iter(conf.token_keys))


def ring_key(kid: str) -> bytes:
    """Return a key of the ring. Raises: UnknownKey."""
    try:
        return conf.token_keys[kid]
    except KeyError:
        raise UnknownKey(kid) from None


@dataclass(frozen=True)
class Binding:
    """All that one token is bound to: change any of it, and the token is another one.

    ``contact`` is the address the token travels to, ``transaction`` the digest of what it approves.
    """

    purpose: str
    campaign: int
    participant: int | None
    challenge: UUID
    generation: int
    contact: str
    transaction: bytes


def derive(binding: Binding, *, seed: bytes, kid: str, alphabet: str, length: int) -> str:
    """Compute the token of one generation. Raises: UnknownKey.

    A 256-bit number modulo 32^length has no bias, and modulo 10^length one below 2^-200; reducing single bytes would
    have favoured some characters.
    """
    message = encode(
        (
            VERSION,
            binding.purpose,
            binding.campaign,
            binding.participant,
            binding.challenge,
            binding.generation,
            binding.contact,
            binding.transaction,
            seed,
        )
    )
    symbols = ALPHABETS[alphabet]
    number = int.from_bytes(hmac.digest(subkey(ring_key(kid), "token"), message, "sha256"), "big")
    token = ""
    for _position in range(length):
        number, index = divmod(number, len(symbols))
        token = symbols[index] + token
    return token


def normalise(value: object, *, alphabet: str, length: int) -> str:
    """Return the token as it was derived, from what a person typed. Raises: TokenMalformed.

    Done once, before every check, so that no check sees a spelling that another one does not (Vault CVE-2025-6014:
    a space made a used code new). Only ASCII is considered: ``str.upper`` maps letters like dotless i onto ASCII ones.
    """
    if not isinstance(value, str) or len(value) > _MAX_INPUT or not value.isascii():
        raise TokenMalformed
    token = value.upper().translate(_CONFUSABLES)
    if len(token) != length or not set(token) <= set(ALPHABETS[alphabet]):
        raise TokenMalformed
    return token


def foreign(value: object) -> str:
    """Return a code of a device that is not ours, as it was typed but for spaces around it. Raises: TokenMalformed."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if not text or len(text) > _MAX_INPUT or not text.isascii() or not text.isprintable():
        raise TokenMalformed
    return text


def matches(given: str, expected: str) -> bool:
    """Compare two normalised tokens in constant time, so that the time taken tells no prefix."""
    return hmac.compare_digest(given.encode(), expected.encode())


def seal(label: str, challenge: UUID, token: str, *, kid: str) -> bytes:
    """Return a keyed digest by which ``token`` is recognised again without being kept. Raises: UnknownKey.

    Keyed, because a plain hash of a 30-bit secret *is* the secret. ``label`` ("accepted", "superseded") keeps one
    use from standing in for another.
    """
    return hmac.digest(subkey(ring_key(kid), label), encode((challenge, token)), "sha256")


def is_sealed(seals: Iterable[bytes], candidate: bytes) -> bool:
    """Tell whether ``candidate`` is one of ``seals``, looking at all of them whatever the first one says."""
    found = False
    for sealed in seals:
        found = hmac.compare_digest(sealed, candidate) or found
    return found


def fingerprint(label: str, value: Encodable, *, kid: str) -> bytes:
    """Return a keyed digest of ``value`` for comparison. Raises: UnknownKey."""
    return hmac.digest(subkey(ring_key(kid), label), encode(value), "sha256")


def fingerprints(label: str, value: Encodable) -> list[bytes]:
    """Return the :func:`fingerprint` of ``value`` under each key of the ring: whichever it was stored by."""
    return [fingerprint(label, value, kid=kid) for kid in conf.token_keys]


def signer(label: str, *, kid: str) -> Callable[[Encodable], bytes]:
    """Return :func:`fingerprint` for many values under one key, which is looked up once. Raises: UnknownKey."""
    key = subkey(ring_key(kid), label)
    return lambda value: hmac.digest(key, encode(value), "sha256")


def webhook_secret(endpoint: UUID, seed: bytes, *, kid: str) -> bytes:
    """Return the 32 bytes with which webhooks to an endpoint are signed. Raises: UnknownKey.

    Derived as a token is, so that the database alone signs nothing: with a secret in clear on the row, a leaked dump
    would let anybody tell every storefront that points were spent (Standard Webhooks 1.0.0 asks for 24 to 64 bytes).
    """
    return fingerprint("webhook", (endpoint, seed), kid=kid)


def capability(label: str, value: Encodable, *, kid: str) -> str:
    """Return the part of a link that lets whoever holds it do one thing about ``value``. Raises: UnknownKey.

    128 bits of a keyed digest, for 2^64 tries a second would not find one in a lifetime, and nothing is stored that a
    copy of the database could be searched for. In the alphabet of addresses (RFC 4648, section 5), without padding.
    """
    sealed = fingerprint(label, value, kid=kid)[:_CAPABILITY_BYTES]
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def granted(given: str, label: str, values: Iterable[Encodable]) -> int | None:
    """Return which of ``values`` a capability is for, by its place, or None where it is for none of them.

    Under any key of the ring: a link outlives the key that issues. All are compared, and in constant time, so that the
    time taken tells neither a prefix nor how many there are before the right one. A key that was taken out of the ring,
    because somebody else has it, takes its links with it.
    """
    found, offered = None, given.encode("utf-8", "surrogatepass")
    for place, value in enumerate(values):
        for kid in conf.token_keys:
            if hmac.compare_digest(offered, capability(label, value, kid=kid).encode()):
                found = place
    return found
