"""The API's calls by name, for one member: what belongs to somebody else is not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import UUID

from django.core.cache import cache
from django.http import Http404
from django.views.decorators.debug import sensitive_variables

from example_project.shop.catalogue import Basket, Product
from example_project.shop.client import Client, Refused
from example_project.shop.customers import Customer, Draft

_CAMPAIGN_SECONDS = 30
_PAGE = 20
APP = "totp"
"""What the API calls an authenticator app among the devices."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Orders:
    """One page of orders, newest first; the cursors lead to the pages beside it."""

    rows: list[Row]
    older: str
    newer: str


@dataclass(frozen=True)
class Storefront:
    """What the shop asks the API for, on behalf of ``customer``."""

    client: Client
    customer: Customer

    @property
    def _campaign(self) -> str:
        return f"/campaigns/{quote(self.customer.campaign, safe='')}/"

    @property
    def participant_path(self) -> str:
        return f"{self._campaign}participants/{quote(self.customer.external_id, safe='')}/"

    # --- who and where ---

    def campaign(self) -> Row:
        """Return the campaign: its unit, channels and the shape of its tokens. At most half a minute old."""
        kept: Row | None = cache.get(self._cache_key)
        if kept is None:
            kept = self.client.call("get_campaign", "GET", self._campaign)
            cache.set(self._cache_key, kept, _CAMPAIGN_SECONDS)
        return kept

    @property
    def _cache_key(self) -> str:
        return f"shop:campaign:{self.customer.campaign}"

    def participant(self) -> Row:
        """Return the member as the programme knows them. Raises: Refused."""
        return self.client.call("get_participant", "GET", self.participant_path)

    def name_of(self, external_id: str) -> str:
        """Return what another member of the campaign is called."""
        path = f"{self._campaign}participants/{quote(external_id, safe='')}/"
        name: str = self.client.call("get_participant", "GET", path)["name"]
        return name

    def speak(self, language: str) -> None:
        """Have messages to the member written in ``language``."""
        self.client.call("patch_participant", "PATCH", self.participant_path, {"locale": language})

    # --- devices ---

    def devices(self) -> list[Row]:
        """Return the member's phones and addresses."""
        return [row for row in self._factors() if row["channel"] != APP]

    def apps(self) -> list[Row]:
        """Return the member's authenticator apps: one that is active, and one that waits for its first code."""
        return [row for row in self._factors() if row["channel"] == APP]

    def _factors(self) -> list[Row]:
        path = f"{self.participant_path}devices/?page_size=200"
        rows: list[Row] = self.client.call("list_devices", "GET", path)["results"]
        return rows

    def usable_devices(self) -> list[Row]:
        """Return those that a token can go to, the main one first."""
        active = (row for row in self.devices() if row["status"] == "active" and not row["held"])
        return sorted(active, key=lambda row: not row["is_default"])

    def device(self, pk: UUID) -> Row:
        """Return one of the member's own. Raises: Http404 for everybody else's."""
        # A device does not say whose it is, and this key reads those of all members: so it is looked for among theirs.
        found = next((row for row in self.devices() if row["id"] == str(pk)), None)
        if found is None:
            raise Http404
        return found

    def register(self, channel: str, address: str, *, key: str | None) -> Row:
        """Add a phone or an address, and send its token. Raises: Refused."""
        body = {"channel": channel, "address": address}
        return self.client.call("register_device", "POST", f"{self.participant_path}devices/", body, key=key)

    @sensitive_variables("token")
    def answer_device(self, pk: UUID, step: str, token: str, *, key: str) -> Row:
        """Type a token: ``step`` is verify (the device's own) or authorize (the current one's). Raises: Refused."""
        self.device(pk)
        return self._answer(f"{step}_device", f"/devices/{pk}/{step}/", token, key)

    def resend_device(self, pk: UUID, *, key: str | None) -> Row:
        """Send the token that a device waits for once more. Raises: Refused."""
        self.device(pk)
        return self.client.call("resend_device_token", "POST", f"/devices/{pk}/resend/", {}, key=key)

    def make_default(self, pk: UUID) -> Row:
        """Make a device the one that tokens go to. Raises: Refused."""
        self.device(pk)
        return self.client.call("make_device_default", "POST", f"/devices/{pk}/make-default/", {})

    def remove(self, pk: UUID) -> Row:
        """Take a device away, now (empty) or once it is authorized (the device). Raises: Refused."""
        self.device(pk)
        return self.client.call("revoke_device", "DELETE", f"/devices/{pk}/")

    # --- who the member is ---

    def onboarding(self) -> Row:
        """Return what the programme wants to know of the member, and how far that is. Raises: Refused."""
        return self.client.call("get_onboarding", "GET", f"{self.participant_path}onboarding/")

    @sensitive_variables("file")
    def send_document(self, kind: str, side: str, file: bytes, *, key: str | None) -> Row:
        """Send a picture of a document, which takes the place of one that waits. Raises: Refused."""
        members = {"kind": kind, "side": side} if side else {"kind": kind}
        path = f"{self.participant_path}documents/"
        try:
            return self.client.send_file("submit_document", path, members, file, key=key)
        except Refused as refused:
            # Another picture in the same form, by way of the back button: that is a new one.
            if refused.code != "idempotency_key_reused":
                raise
        return self.client.send_file("submit_document", path, members, file, key=None)

    # --- orders ---

    def place(self, product: Product, draft: Draft, device: str | None, at: datetime | None = None) -> Row:
        """Open the order, to be booked ``at`` a time or at once; or return it where it is open. Raises: Refused."""
        name = product.name_in(draft.language)
        amount = str(product.price)
        body: Row = {
            "participant": self.customer.external_id,
            "order_id": draft.order_id,
            "amount": amount,
            "description": name,
            "items": [{"sku": product.slug, "name": name, "quantity": 1, "amount": amount}],
        }
        if device is not None:
            body["device"] = device
        if at is not None:
            body["scheduled_for"] = at.isoformat()
        key = f"{draft.order_id}:{device or 'default'}:{body.get('scheduled_for', 'now')}"
        return self.client.call("open_redemption", "POST", f"{self._campaign}redemptions/", body, key=key)

    def order(self, pk: UUID) -> Row:
        """Return one of the member's own orders, or one that they approve. Raises: Http404 for everybody else's."""
        return self._own("get_redemption", f"/redemptions/{pk}/")

    def _own(self, operation: str, path: str) -> Row:
        try:
            row = self.client.call(operation, "GET", path)
        except Refused as refused:
            if refused.code == "not_found":
                raise Http404 from None
            raise
        # The key sees the orders of all members of this shop. The visitor sees those that they are asked about.
        if row["campaign"] != self.customer.campaign or not (self._is_mine(row) or self.approves(row)):
            raise Http404
        return row

    def _is_mine(self, row: Row) -> bool:
        mine: bool = row["participant"] == self.customer.external_id
        return mine

    def approves(self, row: Row) -> bool:
        """Tell whether the member is who approves an order of somebody else."""
        return row["approver"] is not None and row["approver"]["participant"] == self.customer.external_id

    def approvals(self) -> list[Row]:
        """Return what waits for the member's approval, newest first; of several at once the first line."""
        query = urlencode({"status": "pending_2fa_approval", "page_size": "200"})
        rows = self.client.call("list_redemptions", "GET", f"{self._campaign}redemptions/?{query}")["results"]
        found = {row["batch"] or row["id"]: row for row in rows if self.approves(row)}
        return list(found.values())

    def orders(self, cursor: str = "") -> Orders:
        """Return a page of the member's orders."""
        query = {"participant": self.customer.external_id, "page_size": str(_PAGE)}
        if cursor:
            query["cursor"] = cursor
        page = self.client.call("list_redemptions", "GET", f"{self._campaign}redemptions/?{urlencode(query)}")
        return Orders(page["results"], older=_cursor(page["next"]), newer=_cursor(page["previous"]))

    @sensitive_variables("token")
    def confirm(self, pk: UUID, token: str, *, key: str) -> Row:
        """Type the token of an order. Raises: Refused."""
        self.order(pk)
        return self._answer("confirm_redemption", f"/redemptions/{pk}/confirm/", token, key)

    def resend(self, pk: UUID, channel: str, *, key: str | None) -> Row:
        """Replace the token of an order by a new one, on ``channel`` where one is given. Raises: Refused."""
        self.order(pk)
        body = {"channel": channel} if channel else {}
        return self.client.call("resend_redemption_token", "POST", f"/redemptions/{pk}/resend/", body, key=key)

    def cancel(self, pk: UUID) -> Row:
        """Cancel an order that waits. Raises: Refused."""
        self.order(pk)
        return self.client.call("cancel_redemption", "POST", f"/redemptions/{pk}/cancel/", {}, key=f"cancel-{pk}")

    # --- several at once ---

    def place_batch(self, basket: Basket, draft: Draft) -> Row:
        """Open several orders with one token, a line for each product; or return them. Raises: Refused."""
        lines = []
        for product, quantity in basket.lines:
            name, amount = product.name_in(draft.language), str(product.price * quantity)
            lines.append(
                {
                    "order_id": f"{draft.order_id}-{product.slug}",
                    "amount": amount,
                    "description": name if quantity == 1 else f"{quantity} × {name}",
                    "items": [{"sku": product.slug, "name": name, "quantity": quantity, "amount": amount}],
                }
            )
        body = {"request_id": draft.order_id, "participant": self.customer.external_id, "redemptions": lines}
        path = f"{self._campaign}redemption-batches/"
        return self.client.call("open_redemption_batch", "POST", path, body, key=draft.order_id)

    def batch(self, pk: UUID) -> Row:
        """Return a batch that is the member's own, or that they approve. Raises: Http404 for everybody else's."""
        return self._own("get_redemption_batch", f"/redemption-batches/{pk}/")

    @sensitive_variables("token")
    def confirm_batch(self, pk: UUID, token: str, *, key: str) -> Row:
        """Type the token of a batch. Raises: Refused."""
        self.batch(pk)
        return self._answer("confirm_redemption_batch", f"/redemption-batches/{pk}/confirm/", token, key)

    def resend_batch(self, pk: UUID, channel: str, *, key: str | None) -> Row:
        """Replace the token of a batch by a new one, on ``channel`` where one is given. Raises: Refused."""
        self.batch(pk)
        body = {"channel": channel} if channel else {}
        return self.client.call(
            "resend_redemption_batch_token", "POST", f"/redemption-batches/{pk}/resend/", body, key=key
        )

    def cancel_batch(self, pk: UUID) -> Row:
        """Cancel a batch that waits, with all its lines. Raises: Refused."""
        self.batch(pk)
        path = f"/redemption-batches/{pk}/cancel/"
        return self.client.call("cancel_redemption_batch", "POST", path, {}, key=f"cancel-{pk}")

    @sensitive_variables("token")
    def _answer(self, operation: str, path: str, token: str, key: str) -> Row:
        try:
            return self.client.call(operation, "POST", path, {"token": token}, key=key)
        except Refused as refused:
            # The form was typed into twice with different tokens, by way of the back button: that is a new attempt.
            if refused.code != "idempotency_key_reused":
                raise
        return self.client.call(operation, "POST", path, {"token": token})


def _cursor(url: str | None) -> str:
    return parse_qs(urlsplit(url or "").query).get("cursor", [""])[0]
