"""Events: the append-only audit trail."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import PolicyRefused


class ActorKind(models.TextChoices):
    STAFF = "staff", _("staff")
    STOREFRONT = "storefront", _("storefront")
    PARTICIPANT = "participant", _("participant")
    WORKER = "worker", _("worker")


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
        ]

    def __str__(self) -> str:
        return self.type

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise PolicyRefused(_("Events are never changed."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise PolicyRefused(_("Events are never deleted."))
