"""The key ring: there, well formed, long, random, and nobody else's (OWASP ASVS 11.2.3, 13.3.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from django.core.checks import CheckMessage

from twofa.checks import findings
from twofa.conf import MIN_KEY_BYTES, conf, decode_key

MAX_KID = 64
# 32 random bytes have about 30 different ones, and a hexadecimal text of 64 characters all of its 16: fewer than
# this never come from a source of secrets.
_LEAST_DISTINCT = 12


def _given() -> Mapping[object, object]:
    given = conf.given("TOKEN_KEYS")
    return given if isinstance(given, Mapping) else {}


def _decoded() -> dict[str, bytes]:
    ring = {}
    for kid, value in _given().items():
        try:
            ring[str(kid)] = decode_key(value)
        except ValueError:
            continue  # told by `keys_well_formed`
    return ring


def some_key() -> Iterator[CheckMessage]:
    given = conf.given("TOKEN_KEYS")
    if given is None or (isinstance(given, Mapping) and not given):
        yield findings.NO_TOKEN_KEY()


def keys_well_formed() -> Iterator[CheckMessage]:
    given = conf.given("TOKEN_KEYS")
    if given is not None and not isinstance(given, Mapping):
        yield findings.MALFORMED_TOKEN_KEYS(where="", why=f"a {type(given).__name__} and not a dictionary")
    for kid, value in _given().items():
        try:
            decode_key(value)
        except ValueError as error:
            # Never the value: the output of a check is a log.
            yield findings.MALFORMED_TOKEN_KEYS(where=f"[{kid!r}]", why=error)


def kids_fit_their_column() -> Iterator[CheckMessage]:
    for kid in _given():
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or not kid.isprintable():
            yield findings.BAD_KEY_ID(kid=kid)


def keys_long() -> Iterator[CheckMessage]:
    for kid, key in _decoded().items():
        if len(key) < MIN_KEY_BYTES:
            yield findings.SHORT_TOKEN_KEY(kid=kid, length=len(key))


def keys_random() -> Iterator[CheckMessage]:
    for kid, key in _decoded().items():
        if len(key) >= MIN_KEY_BYTES and is_guessable(key):
            yield findings.GUESSABLE_TOKEN_KEY(kid=kid)


def is_guessable(key: bytes) -> bool:
    """Tell whether a key is visibly not random: few different bytes, a repeated part, or a counted sequence."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    period = (key + key).find(key, 1)
    return min(len(set(key)), len(steps)) < _LEAST_DISTINCT or period < len(key)


def keys_apart_from_secret_key() -> Iterator[CheckMessage]:
    secrets = {secret.encode() if isinstance(secret, str) else secret for secret in conf.host_secrets}
    decoded = _decoded()
    for kid, value in _given().items():
        spellings = {decoded.get(str(kid), b""), value.encode() if isinstance(value, str) else b""}
        if secrets & (spellings - {b""}):
            yield findings.TOKEN_KEY_IS_SECRET_KEY(kid=kid)


def keys_differ() -> Iterator[CheckMessage]:
    holders = defaultdict(list)
    for kid, key in _decoded().items():
        holders[key].append(kid)
    for kids in holders.values():
        if len(kids) > 1:
            yield findings.DUPLICATE_TOKEN_KEY(kids=", ".join(map(repr, kids)))


CHECKS = (
    some_key,
    keys_well_formed,
    kids_fit_their_column,
    keys_long,
    keys_random,
    keys_apart_from_secret_key,
    keys_differ,
)
