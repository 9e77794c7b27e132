"""State and its constraints: every model, from one import path."""

from __future__ import annotations

from twofa.models import statements, writes
from twofa.models.access_token import AccessToken
from twofa.models.approver import Approver
from twofa.models.authenticator import CODES, Authenticator, RecoveryCode
from twofa.models.campaign import POLICY_FIELDS, Campaign
from twofa.models.case import DENIAL_LIFE, Case
from twofa.models.challenge import ACCEPTED_KEPT, Challenge, Verdict
from twofa.models.delivery import Delivery
from twofa.models.device import Device
from twofa.models.document_file import DocumentFile
from twofa.models.event import CAMPAIGN_EVENTS, EVENT_LABELS, SUBJECT, ActorKind, Event
from twofa.models.failure import Failure
from twofa.models.idempotency import IdempotencyRecord
from twofa.models.identity_document import CLAIM_LIFE, IdentityDocument
from twofa.models.login_budget import LoginBudget
from twofa.models.login_grant import LoginGrant
from twofa.models.message import KINDS, MESSAGES, Kind, is_token
from twofa.models.message_template import MessageTemplate
from twofa.models.participant import EXTERNAL_ID_PATTERN, LOCALES, Participant, spoken
from twofa.models.policy import (
    LEAST_USEFUL_LIFE,
    MAX_FAILURES_CAP,
    TOKEN_LIFE_CAP,
    Channel,
    CompletionMode,
    DocumentKind,
    Method,
    Reason,
    TokenAlphabet,
    TwoFactorMode,
    Unbound,
)
from twofa.models.policy_change import PolicyChange
from twofa.models.prefix_pause import PrefixPause
from twofa.models.purpose import (
    AGREEMENTS,
    DIGESTS_OF_ORDERS,
    STEP_UP,
    STEP_UP_PATTERN,
    Family,
    Purpose,
    family_of,
    in_family,
)
from twofa.models.redaction import EventRedaction
from twofa.models.redemption import Redemption
from twofa.models.redemption_batch import MOST_LINES, RedemptionBatch
from twofa.models.safe_number import SafeNumber
from twofa.models.seal import EventSeal
from twofa.models.storefront import MAX_LIVE_KEYS, Scope, Storefront, StorefrontKey, granted
from twofa.models.webhook import Webhook, WebhookReason
from twofa.models.webhook_endpoint import PING, WEBHOOKS, WebhookEndpoint

__all__ = [
    "ACCEPTED_KEPT",
    "AGREEMENTS",
    "CAMPAIGN_EVENTS",
    "CLAIM_LIFE",
    "CODES",
    "DENIAL_LIFE",
    "DIGESTS_OF_ORDERS",
    "EVENT_LABELS",
    "EXTERNAL_ID_PATTERN",
    "KINDS",
    "LEAST_USEFUL_LIFE",
    "LOCALES",
    "MAX_FAILURES_CAP",
    "MAX_LIVE_KEYS",
    "MESSAGES",
    "MOST_LINES",
    "PING",
    "POLICY_FIELDS",
    "STEP_UP",
    "STEP_UP_PATTERN",
    "SUBJECT",
    "TOKEN_LIFE_CAP",
    "WEBHOOKS",
    "AccessToken",
    "ActorKind",
    "Approver",
    "Authenticator",
    "Campaign",
    "Case",
    "Challenge",
    "Channel",
    "CompletionMode",
    "Delivery",
    "Device",
    "DocumentFile",
    "DocumentKind",
    "Event",
    "EventRedaction",
    "EventSeal",
    "Failure",
    "Family",
    "IdempotencyRecord",
    "IdentityDocument",
    "Kind",
    "LoginBudget",
    "LoginGrant",
    "MessageTemplate",
    "Method",
    "Participant",
    "PolicyChange",
    "PrefixPause",
    "Purpose",
    "Reason",
    "RecoveryCode",
    "Redemption",
    "RedemptionBatch",
    "SafeNumber",
    "Scope",
    "Storefront",
    "StorefrontKey",
    "TokenAlphabet",
    "TwoFactorMode",
    "Unbound",
    "Verdict",
    "Webhook",
    "WebhookEndpoint",
    "WebhookReason",
    "family_of",
    "granted",
    "in_family",
    "is_token",
    "spoken",
    "statements",
    "writes",
]
