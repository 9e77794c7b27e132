"""The API's calls before there is a member: prove a contact, sign up with it, sign in. Nothing typed is kept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from example_project.shop.client import Client, NotConnected
from example_project.shop.storefront import Row


@dataclass(frozen=True)
class Door:
    """The programme that this shop signs people up for, seen by somebody who is not in yet."""

    client: Client

    @property
    def slug(self) -> str:
        """Return the campaign. Raises: NotConnected where the shop has none."""
        slug: str = settings.SHOP_CAMPAIGN
        if not slug:
            raise NotConnected
        return slug

    @property
    def _campaign(self) -> str:
        return f"/campaigns/{quote(self.slug, safe='')}/"

    def campaign(self) -> Row:
        """Return the campaign: its channels and the shape of its tokens. Raises: Refused."""
        return self.client.call("get_campaign", "GET", self._campaign)

    def prove(self, channel: str, address: str, *, language: str, key: str | None) -> Row:
        """Send a token to a contact that is nobody's yet, and return its challenge. Raises: Refused."""
        body = {"channel": channel, "address": address, "locale": language}
        path = f"{self._campaign}contact-verifications/"
        return self.client.call("open_contact_verification", "POST", path, body, key=key)

    @sensitive_variables("members")
    def sign_up(self, external_id: str, members: Mapping[str, Any]) -> Row:
        """Create a member with a proven contact, a name and a password. Raises: Refused."""
        path = f"{self._campaign}participants/{quote(external_id, safe='')}/"
        return self.client.call("put_participant", "PUT", path, members)

    @sensitive_variables("password", "token", "body")
    def sign_in(self, username: str, password: str, token: str | None = None) -> Row:
        """Return who signed in, and their access token. Raises: Refused, with ``token_required`` after the password."""
        body = {"username": username, "password": password}
        if token is not None:
            body["token"] = token
        return self.client.call("log_in", "POST", f"{self._campaign}login/", body)


def new_member() -> str:
    """Return the id of a member to be: chosen here, and never anything that they typed."""
    return f"web-{secrets.token_hex(8)}"


def session_of(access_token: str) -> str:
    """Return the id of a session, which stands in its access token; the rest is dropped here, and kept nowhere.

    The shop acts with its own key, so what a member's own app would call with is worth nothing to it but this.
    """
    return access_token.split("_")[2]
