"""State and its constraints: every model, from one import path."""

from __future__ import annotations

from twofa.models import statements, writes
from twofa.models.campaign import POLICY_FIELDS, Campaign
from twofa.models.challenge import ACCEPTED_KEPT, STEP_UP, Challenge, Purpose, Verdict
from twofa.models.delivery import MESSAGES, Delivery
from twofa.models.device import Device
from twofa.models.document_file import DocumentFile
from twofa.models.event import CAMPAIGN_EVENTS, EVENT_LABELS, SUBJECT, ActorKind, Event
from twofa.models.idempotency import IdempotencyRecord
from twofa.models.identity_document import CLAIM_LIFE, IdentityDocument
from twofa.models.participant import EXTERNAL_ID_PATTERN, LOCALES, Participant
from twofa.models.policy import (
    LEAST_USEFUL_LIFE,
    TOKEN_LIFE_CAP,
    Channel,
    CompletionMode,
    Method,
    Reason,
    TokenAlphabet,
    TwoFactorMode,
)
from twofa.models.policy_change import PolicyChange
from twofa.models.prefix_pause import PrefixPause
from twofa.models.redaction import EventRedaction
from twofa.models.redemption import Redemption
from twofa.models.safe_number import SafeNumber
from twofa.models.seal import EventSeal
from twofa.models.storefront import MAX_LIVE_KEYS, Storefront, StorefrontKey

__all__ = [
    "ACCEPTED_KEPT",
    "CAMPAIGN_EVENTS",
    "CLAIM_LIFE",
    "EVENT_LABELS",
    "EXTERNAL_ID_PATTERN",
    "LEAST_USEFUL_LIFE",
    "LOCALES",
    "MAX_LIVE_KEYS",
    "MESSAGES",
    "POLICY_FIELDS",
    "STEP_UP",
    "SUBJECT",
    "TOKEN_LIFE_CAP",
    "ActorKind",
    "Campaign",
    "Challenge",
    "Channel",
    "CompletionMode",
    "Delivery",
    "Device",
    "DocumentFile",
    "Event",
    "EventRedaction",
    "EventSeal",
    "IdempotencyRecord",
    "IdentityDocument",
    "Method",
    "Participant",
    "PolicyChange",
    "PrefixPause",
    "Purpose",
    "Reason",
    "Redemption",
    "SafeNumber",
    "Storefront",
    "StorefrontKey",
    "TokenAlphabet",
    "TwoFactorMode",
    "Verdict",
    "statements",
    "writes",
]
