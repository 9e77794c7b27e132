"""Challenges that stand alone, by the API's calls: read, and their token sent again. Of a visitor as of a member."""

from __future__ import annotations

from example_project.shop.client import Client
from example_project.shop.storefront import Row


def read(client: Client, pk: str) -> Row:
    """Return a challenge as it is now. Raises: Refused."""
    return client.call("get_challenge", "GET", f"/challenges/{pk}/")


def resend(client: Client, pk: str, nonce: str, channel: str) -> Row:
    """Send another token; the same showing of a page, by its ``nonce``, asks once. Raises: Refused.

    ``channel`` is empty, or the one that was chosen in place of an authenticator app.
    """
    key = f"resend-{pk}-{nonce}{channel}" if nonce else None
    body = {"channel": channel} if channel else {}
    return client.call("resend_challenge_token", "POST", f"/challenges/{pk}/resend/", body, key=key)
