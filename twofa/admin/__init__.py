"""The staff's pages, for plain ``django.contrib.admin``.

Every page names the fields it shows. No page shows a token, a seed, a key or a digest, and nothing is written but by
a flow.
"""

from __future__ import annotations

from twofa.admin import (
    access_tokens,
    approvers,
    authenticators,
    batches,
    campaigns,
    cases,
    challenges,
    deliveries,
    devices,
    documents,
    events,
    participants,
    policy_changes,
    prefixes,
    redemptions,
    storefronts,
    webhook_endpoints,
    webhooks,
)

__all__ = [
    "access_tokens",
    "approvers",
    "authenticators",
    "batches",
    "campaigns",
    "cases",
    "challenges",
    "deliveries",
    "devices",
    "documents",
    "events",
    "participants",
    "policy_changes",
    "prefixes",
    "redemptions",
    "storefronts",
    "webhook_endpoints",
    "webhooks",
]
