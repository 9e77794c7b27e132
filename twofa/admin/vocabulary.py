"""The words for what flows write as codes: keys and reasons of events, causes, kinds of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.models import Campaign, Failure, IdentityDocument, Participant, Reason, Storefront, WebhookEndpoint

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

KEYS: dict[str, StrOrPromise] = {
    **{
        column.name: column.verbose_name
        for model in (Storefront, Participant, Campaign)
        for column in model._meta.fields
        if not column.is_relation
    },
    "added": _("added"),
    "application": _("application"),
    "approver": _("approver"),
    "attempts": _("attempts used"),
    "basis": _("why"),
    "batch": _("batch"),
    "campaigns": _("campaigns"),
    "case": _("case"),
    "cause": _("why"),
    "channel": _("channel"),
    "columns": _("changed"),
    "completed": _("completed"),
    "count": _("number"),
    "deputy": _("deputy"),
    "description": _("description"),
    "confirmations": _("confirmed"),
    "destination": _("destination"),
    "entitlement": _("entitlement"),
    "document": _("document"),
    "documents": _("documents"),
    "endpoint_id": _("endpoint"),
    "events": _("events"),
    "failed": _("failed"),
    "file": _("file"),
    "files_left": _("files that are still in the storage"),
    "filters": _("filters"),
    "outcome": _("outcome"),
    "too_late": _("after the approval"),
    "internal_comments": _("with internal comments"),
    "is_final": _("final"),
    "left": _("left"),
    "kind": _("kind"),
    "generation": _("token number"),
    "html": _("HTML"),
    "is_on": _("switched on"),
    "message": _("message"),
    "max_amount": _("up to"),
    "mode": _("two-factor"),
    "number": _("number"),
    "page": _("page"),
    "paused_until": _("paused until"),
    "participants": _("participants"),
    "decision": _("decision"),
    "sends": _("messages"),
    "side": _("side"),
    "subject": pgettext_lazy("e-mail", "subject"),
    "text": _("text"),
    "answer": _("answer"),
    "expired_because": _("why"),
    "prefix": _("prefix"),
    "proof": _("proof"),
    "proved_by": _("proved by"),
    "provider": _("provider"),
    "proposal": _("proposal"),
    "proposed_by": _("proposed by"),
    "reason": _("reason"),
    "redaction": _("redaction"),
    "removed": _("removed"),
    "requester": _("requester"),
    "role": _("role"),
    "rows": _("rows"),
    "scheduled_for": _("scheduled for"),
    "scopes": _("scopes"),
    "total_of_24_hours": _("redeemed within 24 hours, with this one"),
    "told": _("what it is told"),
    "tries": _("tries"),
    "valid_until": _("valid until"),
    "url": _("URL"),
    "verdict": _("typed"),
    "webhook_id": _("webhook"),
}
"""What is kept with an event or a decision, by the name of its key."""

_KINDS, _SIDES = IdentityDocument.Kind, IdentityDocument.Side
DOCUMENTS: dict[str, StrOrPromise] = {
    name: label
    for kind in _KINDS
    for name, label in (
        (kind.value, kind.label),
        *(
            (f"{kind}:{side}", format_lazy("{}, {}", kind.label, side.label))
            for side in (_SIDES.FRONT, _SIDES.BACK)
            if kind in (_KINDS.CPF, _KINDS.RG, _KINDS.CNH)
        ),
    )
}
"""What a campaign may ask for, by the names that the documents themselves have."""

APPROVERS: dict[str, StrOrPromise] = {
    "named": _("named by the storefront"),
    "demanded": _("demanded by the campaign"),
}
"""How an approver comes in."""

BASES: dict[str, StrOrPromise] = {
    "retention": _("the time to keep them is over"),
    "erasure": _("a participant was erased"),
}
"""Why something was taken out of the audit trail."""

CAUSES: dict[str, StrOrPromise] = {
    "resent": _("another one was asked for"),
    "reminted": _("the one before would have come too late"),
    "failed_over": _("the message before could not be sent"),
}
"""Why a token was renewed."""

PROOFS: dict[str, StrOrPromise] = {
    "password": _("the password alone"),
    "token": _("password and token"),
    "registration": _("password, and the token of the registration"),
}
"""By what somebody logged in."""

REASONS: dict[str, StrOrPromise] = {
    **dict(Reason.choices),
    # Why a document was rejected, or lost its approval.
    **dict(IdentityDocument.Reason.choices),
    "erased": _("the participant was erased"),
    "logged_out": _("the participant logged out"),
    "device_reset": _("staff reset a device of the participant"),
    "abandoned": _("nobody ever proved the contact"),
    "details_changed": _("the participant changed their name or document number"),
    # Why an endpoint of webhooks was disabled.
    **dict(WebhookEndpoint.Disabled.choices),
    # Why a message was not sent.
    "number_at_risk": _("the number may not be its owner's any more: its SIM or its carrier changed"),
    "number_unchecked": _("the check of numbers did not answer"),
    "prefix_paused": _("messages to these numbers are paused: hardly a token came back"),
    "answer_unreadable": _("the provider's answer could not be read"),
    "channel_error": _("the channel broke down: see the log"),
    "channel_unavailable": _("the channel is not set up"),
    "connection": _("no connection to the provider"),
    "file_not_written": _("the file could not be written"),
    "lease_lost": _("the worker stopped while sending, each time"),
    "message_invalid": _("the message could not be built for this channel"),
    "message_not_rendered": _("the template of the message is broken: see the log"),
    "message_refused": _("the provider refused the message"),
    "not_accepted": _("the mail server did not take the message"),
    "provider_busy": _("the provider is busy"),
    "provider_denied": _("the provider did not accept our credentials"),
    "provider_error": _("the provider failed"),
    "provider_misconfigured": _("the provider's address or settings are wrong"),
    "provider_unavailable": _("the provider is down"),
    "not_delivered": _("the provider could not deliver the message"),
    "message_filtered": _("the carrier blocked the message"),
    "recipient_opted_out": _("the recipient has opted out of messages"),
    "recipient_unreachable": _("the recipient's phone cannot be reached"),
    "region_not_allowed": _("the provider's account may not send to this region"),
    "template_required": _("WhatsApp takes approved templates only"),
    "recipient_deferred": _("the recipient cannot be reached for now"),
    "recipient_refused": _("the provider refused the recipient"),
    "reminted": _("it would have come too late: a new token was made"),
    "stream_closed": _("the console is closed"),
    "superseded": _("superseded by a newer one"),
    "overdue": _("nobody decided on it for a week"),
    "policy_changed": _("the policy was changed meanwhile"),
    "timeout": _("the provider did not answer in time"),
    "tls": _("no secure connection to the provider"),
    "token_key_unknown": _("the key of the token is not installed any more"),
    "send_budget": _("a budget of messages is used up"),
    "too_late": _("it would have come too late"),
    # Why a redemption or a batch ended, or was refused by the host's points.
    **dict(Failure.choices),
    "insufficient_points": _("not enough points"),
    "not_reserved": _("the points were not set aside"),
    "refused": _("refused by the loyalty programme"),
}
