"""One binding, one key ring, one seed: what the tests of tokens stand on."""

from __future__ import annotations

from uuid import UUID

from twofa import tokens

KEY = bytes(range(32))
SEED = bytes(range(100, 132))
RING = {"k1": KEY, "k2": bytes(reversed(KEY))}
BINDING = tokens.Binding(
    purpose="redemption",
    campaign=7,
    participant=42,
    challenge=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    generation=1,
    contact="sms:+5511999990034",
    transaction=bytes(range(200, 232)),
)


def token(binding: tokens.Binding = BINDING, **changes: object) -> str:
    """Derive a token of `binding`, with other options where `changes` says so."""
    options: dict[str, object] = {"seed": SEED, "kid": "k1", "alphabet": "alphanumeric", "length": 6, **changes}
    return tokens.derive(binding, **options)
