"""The key rings: there, well formed, long, random, and nobody else's (OWASP ASVS 11.2.3, 13.3.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from django.core.checks import CheckMessage

from twofa.checks import findings
from twofa.checks.findings import Finding
from twofa.conf import MIN_KEY_BYTES, conf, decode_key

MAX_KID = 64
# 32 random bytes have about 30 different ones, and a hexadecimal text of 64 characters all of its 16: fewer than
# this never come from a source of secrets.
_LEAST_DISTINCT = 12


@dataclass(frozen=True)
class Ring:
    """One setting that holds keys, and what can be wrong with it."""

    name: str
    malformed: Finding
    short: Finding
    guessable: Finding
    secret_key: Finding
    duplicate: Finding
    bad_id: Finding

    @property
    def given(self) -> Mapping[object, object]:
        """The setting as the host wrote it; nothing where it is no dictionary."""
        given = conf.given(self.name)
        return given if isinstance(given, Mapping) else {}

    @property
    def kids(self) -> list[str]:
        """The ids of its keys."""
        return [str(kid) for kid in self.given]

    @property
    def decoded(self) -> dict[str, bytes]:
        """Those keys that are well formed."""
        ring = {}
        for kid, value in self.given.items():
            try:
                ring[str(kid)] = decode_key(value)
            except ValueError:
                continue  # told by `keys_well_formed`
        return ring


TOKENS = Ring(
    "TOKEN_KEYS",
    malformed=findings.MALFORMED_TOKEN_KEYS,
    short=findings.SHORT_TOKEN_KEY,
    guessable=findings.GUESSABLE_TOKEN_KEY,
    secret_key=findings.TOKEN_KEY_IS_SECRET_KEY,
    duplicate=findings.DUPLICATE_TOKEN_KEY,
    bad_id=findings.BAD_KEY_ID,
)
DOCUMENTS = Ring(
    "DOCUMENT_KEYS",
    malformed=findings.MALFORMED_DOCUMENT_KEYS,
    short=findings.SHORT_DOCUMENT_KEY,
    guessable=findings.GUESSABLE_DOCUMENT_KEY,
    secret_key=findings.DOCUMENT_KEY_IS_SECRET_KEY,
    duplicate=findings.DUPLICATE_DOCUMENT_KEY,
    bad_id=findings.BAD_DOCUMENT_KEY_ID,
)


def some_token_key() -> Iterator[CheckMessage]:
    # Only this ring: a host whose campaigns demand no documents needs no key for them (see `rows`).
    if is_empty(TOKENS):
        yield findings.NO_TOKEN_KEY()


def is_empty(ring: Ring) -> bool:
    """Tell whether the setting holds nothing; what is malformed is told by `keys_well_formed`."""
    given = conf.given(ring.name)
    return given is None or (isinstance(given, Mapping) and not given)


def keys_well_formed(ring: Ring) -> Iterator[CheckMessage]:
    given = conf.given(ring.name)
    if given is not None and not isinstance(given, Mapping):
        yield ring.malformed(where="", why=f"a {type(given).__name__} and not a dictionary")
    for kid, value in ring.given.items():
        try:
            decode_key(value)
        except ValueError as error:
            # Never the value: the output of a check is a log.
            yield ring.malformed(where=f"[{kid!r}]", why=error)


def kids_fit_their_column(ring: Ring) -> Iterator[CheckMessage]:
    for kid in ring.given:
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or not kid.isprintable():
            yield ring.bad_id(kid=kid)


def keys_long(ring: Ring) -> Iterator[CheckMessage]:
    for kid, key in ring.decoded.items():
        if len(key) < MIN_KEY_BYTES:
            yield ring.short(kid=kid, length=len(key))


def keys_random(ring: Ring) -> Iterator[CheckMessage]:
    for kid, key in ring.decoded.items():
        if len(key) >= MIN_KEY_BYTES and is_guessable(key):
            yield ring.guessable(kid=kid)


def is_guessable(key: bytes) -> bool:
    """Tell whether a key is visibly not random: few different bytes, a repeated part, or a counted sequence."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    period = (key + key).find(key, 1)
    return min(len(set(key)), len(steps)) < _LEAST_DISTINCT or period < len(key)


def keys_apart_from_secret_key(ring: Ring) -> Iterator[CheckMessage]:
    secrets = {secret.encode() if isinstance(secret, str) else secret for secret in conf.host_secrets}
    decoded = ring.decoded
    for kid, value in ring.given.items():
        spellings = {decoded.get(str(kid), b""), value.encode() if isinstance(value, str) else b""}
        if secrets & (spellings - {b""}):
            yield ring.secret_key(kid=kid)


def keys_differ(ring: Ring) -> Iterator[CheckMessage]:
    holders = defaultdict(list)
    for kid, key in ring.decoded.items():
        holders[key].append(kid)
    for kids in holders.values():
        if len(kids) > 1:
            yield ring.duplicate(kids=", ".join(map(repr, kids)))


def rings_apart() -> Iterator[CheckMessage]:
    taken = set(TOKENS.decoded.values())
    for kid, key in DOCUMENTS.decoded.items():
        if key in taken:
            yield findings.DOCUMENT_KEY_IS_TOKEN_KEY(kid=kid)


_OF_A_RING: tuple[Callable[[Ring], Iterator[CheckMessage]], ...] = (
    keys_well_formed,
    kids_fit_their_column,
    keys_long,
    keys_random,
    keys_apart_from_secret_key,
    keys_differ,
)
CHECKS: tuple[Callable[[], Iterator[CheckMessage]], ...] = (
    some_token_key,
    *(partial(check, ring) for ring in (TOKENS, DOCUMENTS) for check in _OF_A_RING),
    rings_apart,
)
