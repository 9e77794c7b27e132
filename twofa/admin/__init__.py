"""The staff's pages, for plain ``django.contrib.admin``.

Every page names the fields it shows. No page shows a token, a seed, a key or a digest, and nothing is written but by
a flow.
"""

from __future__ import annotations

from twofa.admin import (
    campaigns,
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
)

__all__ = [
    "campaigns",
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
]
