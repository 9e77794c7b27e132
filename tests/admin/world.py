"""One row of each kind that has a page, and what must not be shown of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from secrets import token_bytes
from typing import Any

from django.contrib.auth.models import User

from tests import factories, papers
from tests.endpoints import make_endpoint, queue
from tests.fulfillment import RecordingBackend
from twofa import correlation
from twofa.flows import access_tokens, deliveries, storefronts
from twofa.flows.history import WORKER
from twofa.flows.webhook_endpoints import secret_text
from twofa.models import (
    AccessToken,
    Approver,
    Authenticator,
    Campaign,
    Case,
    Challenge,
    Delivery,
    Event,
    IdentityDocument,
    Participant,
    PolicyChange,
    PrefixPause,
    Redemption,
    RedemptionBatch,
    SafeNumber,
    StorefrontKey,
    Webhook,
)
from twofa.models.clock import now
from twofa.vault import seal_secret


@dataclass
class World:
    """One row of each kind, with an open challenge whose message was sent, and all that must not be shown of them."""

    shop: factories.Shop
    redemption: Redemption
    challenge: Challenge
    delivery: Delivery
    key: StorefrontKey
    secrets: dict[str, bytes]
    proposal: PolicyChange
    document: IdentityDocument
    case: Case
    batch: RedemptionBatch
    webhook: Webhook
    pause: PrefixPause
    safe_number: SafeNumber
    access_token: AccessToken
    authenticator: Authenticator

    @cached_property
    def approver(self) -> Approver:
        """An entitlement, with the approver and the deputy that it needs."""
        approver, deputy = (factories.participant(self.shop.campaign) for _person in range(2))
        return Approver.objects.create(
            campaign=self.shop.campaign,
            participant=approver,
            requester=self.shop.participant,
            deputy=deputy,
            max_amount="1000.00",
        )

    @property
    def rows(self) -> dict[str, Any]:
        """One row of each model with a page."""
        return {
            "campaign": self.shop.campaign,
            "storefront": self.shop.storefront,
            "storefrontkey": self.key,
            "participant": self.shop.participant,
            "device": self.shop.device,
            "redemption": self.redemption,
            "redemptionbatch": self.batch,
            "challenge": self.challenge,
            "delivery": self.delivery,
            "event": Event.objects.filter(redemption=self.redemption).first(),
            "policychange": self.proposal,
            "identitydocument": self.document,
            "case": self.case,
            "approver": self.approver,
            "webhookendpoint": self.webhook.endpoint,
            "webhook": self.webhook,
            "prefixpause": self.pause,
            "safenumber": self.safe_number,
            "accesstoken": self.access_token,
            "authenticator": self.authenticator,
        }


def make_world(**policy: Any) -> World:
    with correlation.bound(correlation.accept(None)):
        made = _world(**policy)
        assert made.approver.is_active, "there is one in each world, not only where a test asks for it"
        return made


def _world(**policy: Any) -> World:
    RecordingBackend.reset()
    shop = factories.Shop(**policy)
    redemption = shop.open(items=[{"sku": "H-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}])
    delivery = Delivery.objects.get(challenge__redemption=redemption)
    deliveries.deliver(delivery.pk)
    challenge = Challenge.objects.get(redemption=redemption)
    key, text = storefronts.issue_key(shop.storefront, actor=WORKER)
    # On a host that no webhook is sent to, in case a test presses the button.
    (webhook,) = queue(make_endpoint(of=shop.storefront, host="localhost"), status="failed", reason="broken")
    issued = access_tokens.OpaqueIssuer().issue(participant=shop.participant, storefront=shop.storefront)
    app, secret = sealed_app(shop.participant)
    secrets = {
        "token": challenge.derive_token().encode(),
        "seed": bytes(challenge.seed or b""),
        "digest": bytes(challenge.transaction_digest),
        "address": shop.device.address.encode(),
        "key": text.encode(),
        "key's secret": text.partition("_")[2].partition("_")[2].encode(),
        "key's hash": bytes(key.hashed_key),
        "access token": issued.token.encode(),
        "access token's hash": AccessToken.digest(issued.token),
        "webhook's secret": secret_text(webhook.endpoint.secret()).encode(),
        "webhook's signing key": webhook.endpoint.secret(),
        "webhook's seed": bytes(webhook.endpoint.seed),
        "app's secret": secret,
        "app's secret for people": base64.b32encode(secret),
        "app's sealed secret": bytes(app.secret or b""),
    }
    return World(
        shop,
        redemption,
        challenge,
        Delivery.objects.get(pk=delivery.pk),
        key,
        secrets,
        propose(shop.campaign),
        papers.kept(shop.participant),
        factories.case(challenge, reported_from=shop.device),
        factories.ended_batch(shop),
        webhook,
        factories.prefix_pause(),
        factories.safe_number(),
        AccessToken.objects.get(participant=shop.participant),
        app,
    )


def sealed_app(of: Participant) -> tuple[Authenticator, bytes]:
    """An active authenticator app, and its secret."""
    secret, at = token_bytes(20), now()
    row = Authenticator(participant=of, user_id=of.user_id, name="Pixel", status="active", confirmed=True, last_step=1)
    row.created_at = row.activated_at = row.approves_from = at
    row.kid, row.secret = seal_secret(secret, owner=of.pk, name=row.uuid)
    row.save()
    return row, secret


def propose(campaign: Campaign, **columns: Any) -> PolicyChange:
    """A proposal to ask nobody any more, by somebody who is not signed in anywhere."""
    proposer, _new = User.objects.get_or_create(username="paula", is_staff=True)
    proposed = {
        "policy_version": campaign.policy_version,
        "before": {"two_factor_mode": campaign.two_factor_mode},
        "after": {"two_factor_mode": "off"},
        "loosens": ["two_factor_mode"],
        "reason": "Support asked for it.",
        "requested_by": proposer,
        "requested_at": now(),
        **columns,
    }
    return PolicyChange.objects.create(campaign=campaign, **proposed)
