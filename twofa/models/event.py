"""Events: the append-only audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from django.db import models
from django.db.models.functions import StrIndex, Substr
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import PolicyRefused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

EVENT_LABELS: dict[str, StrOrPromise] = {
    "campaign.opened": _("Campaign opened"),
    "campaign.changed": _("Campaign changed"),
    "campaign.policy_changed": _("Policy changed"),
    "role.changed": _("Permissions of a role changed"),
    "campaign.change_proposed": _("Looser policy proposed"),
    "campaign.change_approved": _("Proposal approved"),
    "campaign.change_rejected": _("Proposal rejected"),
    "campaign.change_withdrawn": _("Proposal withdrawn"),
    "campaign.change_expired": _("Proposal expired"),
    "campaign.self_approval_refused": _("Somebody tried to approve their own proposal"),
    "campaign.password_refused": _("Wrong password for an approval"),
    "storefront.opened": _("Storefront opened"),
    "storefront.changed": _("Storefront changed"),
    "storefront.campaigns_added": _("Storefront serves more campaigns"),
    "storefront.key_issued": _("Key issued"),
    "storefront.key_revoked": _("Key revoked"),
    "storefront.application_linked": _("Application of OAuth2 may call"),
    "storefront.application_unlinked": _("Application of OAuth2 may call no more"),
    "webhook_endpoint.opened": _("Webhook endpoint added"),
    "webhook_endpoint.changed": _("Webhook endpoint changed"),
    "webhook_endpoint.secret_rotated": _("Secret of a webhook endpoint rotated"),
    "webhook_endpoint.tested": _("Webhook endpoint tested"),
    "webhook_endpoint.disabled": _("Webhook endpoint disabled by the machine"),
    "webhook_endpoint.enabled": _("Webhook endpoint enabled again"),
    "webhook_endpoint.replayed": _("Webhooks sent again by staff"),
    "participant.enrolled": _("Participant enrolled"),
    "participant.updated": _("Participant changed"),
    "participant.switched_off": _("Two-factor switched off"),
    "participant.method_changed": _("Method changed by staff"),
    "participant.logged_in": _("Logged in"),
    "participant.tokens_revoked": _("Access tokens revoked"),
    "participant.document_revealed": _("Document number shown to staff"),
    "approver.entitled": _("Somebody was entitled to approve"),
    "approver.changed": _("Limits of an approver changed"),
    "approver.revoked": _("Approver revoked"),
    "device.registered": _("Device registered"),
    "device.activated": _("Device verified"),
    "device.made_default": _("Device made the default"),
    "device.revoked": _("Device revoked"),
    "device.held": _("Device held: no token goes there"),
    "device.released": _("Device released by staff"),
    "device.contact_revealed": _("Contact shown to staff"),
    "authenticator.enrolled": _("Authenticator app registered"),
    "authenticator.activated": _("Authenticator app verified"),
    "authenticator.verified": _("Right code of an authenticator app"),
    "authenticator.attempt_failed": _("Wrong code of an authenticator app"),
    "authenticator.held": _("Authenticator app held: no code of it is taken"),
    "authenticator.released": _("Authenticator app released"),
    "authenticator.revoked": _("Authenticator app revoked"),
    "recovery_codes.issued": _("Recovery codes issued"),
    "recovery_codes.used": _("Recovery code used"),
    "recovery_codes.refused": _("Wrong recovery code"),
    "case.opened": _("Somebody said that it was not them"),
    "case.closed": _("Case closed"),
    "document.submitted": _("Identity document sent"),
    "document.duplicate_found": _("The same picture was sent for another participant"),
    "document.replaced": _("Identity document replaced by another picture"),
    "document.claimed": _("Review begun"),
    "document.viewed": _("Identity document looked at by staff"),
    "document.approved": _("Identity document approved"),
    "document.rejected": _("Identity document rejected"),
    "document.expired": _("Identity document no longer valid"),
    "document.reopened": _("Another picture is taken after a refusal for good"),
    "document.purged": _("File of an identity document erased"),
    "document.purge_postponed": _("Erasing a file failed: will be tried again"),
    "document.self_review_refused": _("Somebody tried to decide their own document"),
    "participant.onboarded": _("Onboarding complete"),
    "participant.erasure_begun": _("Erasure begun: nothing can be done as this participant any more"),
    "participant.erased": _("Participant erased: what is left is a pseudonym"),
    "participant.exported": _("Data of the participant given out"),
    "trail.purged": _("Events erased: the time to keep them is over"),
    "trail.redacted": _("Personal data erased from events"),
    "device.contact_refused": _("Contact proved, and refused because others use it"),
    "prefix.paused": _("Prefix paused: hardly a token came back from there"),
    "prefix.resumed": _("Pause of a prefix over"),
    "prefix.lifted": _("Pause of a prefix lifted by staff"),
    "safe_number.added": _("Safe number added"),
    "safe_number.removed": _("Safe number removed"),
    "redemption.pending": _("Opened: waits for its token"),
    "redemption.exempted": _("Opened: needs no token"),
    "redemption.approved": _("Approved by the right token"),
    "redemption.scheduled": _("Scheduled"),
    "redemption.completed": _("Completed: the points are spent"),
    "redemption.completion_postponed": _("Completion failed: will be tried again"),
    "redemption.completion_retried": _("Completion tried again by staff"),
    "redemption.parked": _("Completion parked: waits for staff"),
    "redemption.failed": _("Failed"),
    "redemption.rejected": _("Rejected"),
    "redemption.expired": _("Expired"),
    "redemption.cancelled": _("Cancelled"),
    "redemption.tampered": _("The stored row is not what the token was issued for"),
    "batch.pending": _("Batch opened: waits for its token"),
    "batch.exempted": _("Batch opened: needs no token"),
    "batch.approved": _("Batch approved by the right token"),
    "batch.completed": _("Batch completed: all its lines are"),
    "batch.partly_completed": _("Batch partly completed: some of its lines failed"),
    "batch.failed": _("Batch failed: none of its lines was completed"),
    "batch.rejected": _("Batch rejected"),
    "batch.expired": _("Batch expired"),
    "batch.cancelled": _("Batch cancelled"),
    "batch.tampered": _("The stored batch is not what the token was issued for"),
    "redemptions.exported": _("Redemptions exported"),
    "points.reserved": _("Points set aside"),
    "points.reserve_postponed": _("Setting points aside failed: will be tried again"),
    "points.released": _("Points given back"),
    "points.release_postponed": _("Giving points back failed: will be tried again"),
    "challenge.issued": _("Token issued"),
    "challenge.renewed": _("Token renewed"),
    "challenge.attempt_failed": _("Wrong token"),
    "challenge.approved": _("Right token"),
    "challenge.rejected": _("Challenge rejected"),
    "challenge.expired": _("Time to confirm is over"),
    "challenge.cancelled": _("Challenge cancelled"),
    "delivery.queued": _("Message will be tried again"),
    "delivery.sent": _("Message accepted by the provider"),
    "delivery.delivered": _("Message delivered"),
    "delivery.failed": _("Message failed"),
    "delivery.superseded": _("Message taken back: its token is not valid any more"),
    "notice.dropped": _("Notice not sent: a budget of messages is used up"),
    "message_template.changed": _("Text of a message changed"),
    "message_template.removed": _("Own text of a message removed: the default is sent again"),
    "campaign.message_switched": _("Message switched on or off"),
    "delivery.expired": _("Message not sent: it came too late"),
}
"""What staff call each type of event."""

SUBJECT = Substr("type", 1, StrIndex("type", models.Value(".")) - 1)
"""The first word of a type. An index is on it: types are several to a subject, and only one value of an index comes in
the order of ids."""

CAMPAIGN_EVENTS = ("campaign.opened", "campaign.changed", "campaign.policy_changed")
"""What happens to a campaign itself: the history of its policy."""


TRAIL_EVENTS = ("trail.purged", "trail.redacted")
"""What tells of events that are not there, or not as they were, any more."""

KEPT_EVENTS = frozenset({*TRAIL_EVENTS, "role.changed"})
"""What is never purged: without the first nobody could tell a purge from a theft, and by the second ``twofa_roles``
tells the groups that it made from groups of the host's that have the same name."""


def types_under(prefix: object) -> list[str]:
    """Return the types that a prefix means: itself, or all whose words begin with its words."""
    return [type_ for type_ in EVENT_LABELS if type_ == prefix or type_.startswith(f"{prefix}.")]


def is_purgeable(prefix: object) -> bool:
    """Tell whether a prefix means events, none of which has to stay."""
    types = types_under(prefix)
    return bool(types) and not KEPT_EVENTS & set(types)


class ActorKind(models.TextChoices):
    STAFF = "staff", _("staff")
    STOREFRONT = "storefront", _("storefront")
    PARTICIPANT = "participant", _("participant")
    WORKER = "worker", _("worker")
    PROVIDER = "provider", _("provider")


def _about(model: str) -> models.ForeignKey[Any, Any]:
    # No constraint: an audit row outlives what it speaks of, and must never be what keeps it from being erased.
    return models.ForeignKey(
        model, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="events"
    )


class EventQuerySet(models.QuerySet["Event"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise PolicyRefused(_("Events are never changed."))

    def delete(self) -> NoReturn:
        raise PolicyRefused(_("Events are never deleted."))


class Event(models.Model):
    """What happened, when, by whom, about what."""

    type = models.CharField(_("type"), max_length=64)
    created_at = models.DateTimeField(_("created at"))
    actor_kind = models.CharField(_("actor"), max_length=12, choices=ActorKind.choices)
    actor = models.CharField(_("who"), max_length=150, blank=True)
    correlation_id = models.CharField(_("correlation id"), max_length=128, blank=True)
    storefront = _about("twofa.Storefront")
    campaign = _about("twofa.Campaign")
    participant = _about("twofa.Participant")
    device = _about("twofa.Device")
    redemption = _about("twofa.Redemption")
    challenge = _about("twofa.Challenge")
    delivery = _about("twofa.Delivery")
    data = models.JSONField(_("data"), default=dict)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-id",)
        indexes = [
            models.Index(
                fields=("redemption",), condition=models.Q(redemption__isnull=False), name="twofa_event_redemption"
            ),
            models.Index(
                fields=("challenge",), condition=models.Q(challenge__isnull=False), name="twofa_event_challenge"
            ),
            models.Index(fields=("participant", "type", "created_at"), name="twofa_event_participant"),
            models.Index(fields=("campaign", "created_at"), name="twofa_event_campaign"),
            models.Index(fields=("correlation_id",), name="twofa_event_correlation"),
            # A campaign has a handful of these among all events of its redemptions.
            models.Index(
                fields=("campaign", "created_at"),
                condition=models.Q(type__in=CAMPAIGN_EVENTS),
                name="twofa_event_policy",
            ),
            # For the list of staff: few subjects and actors among very many events of checkouts, which enter neither.
            models.Index(SUBJECT, "id", condition=models.Q(redemption__isnull=True), name="twofa_event_unredeemed"),
            models.Index(
                fields=("actor_kind", "id"),
                condition=~models.Q(actor_kind__in=("storefront", "worker")),
                name="twofa_event_people",
            ),
        ]

    def __str__(self) -> str:
        return str(self.label)

    @property
    def label(self) -> StrOrPromise:
        """Return what staff call it; one without a name is called by its type."""
        return EVENT_LABELS.get(self.type, self.type)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise PolicyRefused(_("Events are never changed."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise PolicyRefused(_("Events are never deleted."))
