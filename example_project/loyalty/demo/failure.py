"""What ends the demo early."""

from __future__ import annotations


class DemoFailed(Exception):
    """Something differs from what the demo shows; the text says what."""


def expect(actual: object, expected: object, what: str) -> None:
    """Compare, so that nothing is shown that is not so. Raises: DemoFailed."""
    if actual != expected:
        raise DemoFailed(f"{what}: expected {expected!r}, got {actual!r}.")
