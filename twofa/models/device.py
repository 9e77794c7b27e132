"""Devices: what a participant proves possession of, as django-otp devices."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device as OTPDevice

from twofa import tokens
from twofa.models.participant import Participant
from twofa.models.policy import Channel
from twofa.models.states import StateMachine

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class DeviceAnswers(Protocol):
    """What ``flows.device_logins`` offers to django-otp, which calls from below, where flows may not be imported."""

    def answer_login(self, device: Device, token: object) -> bool: ...


class DeviceQuerySet(models.QuerySet["Device"]):
    def active(self) -> Self:
        """Verified devices, those that cool off included."""
        return self.filter(status=Device.Status.ACTIVE)

    def usable(self, at: datetime) -> Self:
        """Devices that may receive tokens at ``at``: see :meth:`Device.is_usable`."""
        return self.active().filter(usable_from__lte=at, held_at=None)

    def devices_for_user(self, user: AbstractBaseUser, confirmed: bool | None = None) -> Self:
        """Answer django-otp, which asks every device model for a user's devices.

        One that is held counts among the confirmed, although ``confirmed`` is false of it: where a page asks for a
        second factor ``if_configured``, whoever has no confirmed device is let in without, and a hundred wrong tokens
        would be the key.
        """
        rows = self.filter(user=user)
        if confirmed is None:
            return rows
        return rows.active() if confirmed else rows.exclude(status=Device.Status.ACTIVE)

    def living(self) -> Self:
        """Devices that are not revoked."""
        return self.exclude(status=Device.Status.REVOKED)


class Device(StateMachine, OTPDevice):
    """A phone or an e-mail address of a participant.

    A django-otp device, so that ``devices_for_user``, ``Device.from_persistent_id`` and ``OTPMiddleware`` work; not a
    ``SideChannelDevice``, which keeps the token in clear on the row and compares it with ``==``.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        ACTIVE = "active", _("active")
        REVOKED = "revoked", _("revoked")

    MACHINES = {
        "status": {
            Status.PENDING: frozenset({Status.ACTIVE, Status.REVOKED}),
            Status.ACTIVE: frozenset({Status.REVOKED}),
            Status.REVOKED: frozenset(),
        }
    }
    answers: ClassVar[DeviceAnswers | None] = None
    """Set by ``apps.ready``: the flow that answers for a device."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="twofa_devices", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=150, blank=True)
    confirmed = models.BooleanField(_("confirmed"), default=False)
    uuid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    participant = models.ForeignKey(Participant, models.CASCADE, related_name="devices", verbose_name=_("participant"))
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    address = models.CharField(_("address"), max_length=254)
    destination = models.CharField(_("destination"), max_length=254, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    is_default = models.BooleanField(_("default"), default=False)
    usable_from = models.DateTimeField(_("usable from"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    activated_at = models.DateTimeField(_("activated at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    # Without the end of a day, which the budgets have: whoever comes back each morning would guess for years.
    failures = models.PositiveSmallIntegerField(_("wrong tokens in a row"), default=0, db_default=0, editable=False)
    # What stands in the way of a state and is no state: it comes over a pending device as well as over an active one.
    held_at = models.DateTimeField(_("held since"), null=True, blank=True)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        ordering = ("-id",)
        permissions = [
            ("reset_device", _("Can reset a participant's device")),
            ("release_device", _("Can release a device that is held")),
        ]
        indexes = [
            # How many participants share a contact is asked before each message to a new device.
            models.Index(Lower("address"), condition=~Q(status="revoked"), name="twofa_device_contact"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("participant", "channel", "address"),
                condition=~Q(status="revoked"),
                name="twofa_device_address",
            ),
            models.UniqueConstraint(
                fields=("participant",), condition=Q(is_default=True), name="twofa_device_one_default"
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(status="active"), name="twofa_device_default_active"
            ),
            # By ``confirmed`` alone django-otp tells whether a session is verified still: a device that is no more must
            # not keep it so. Nor one that is held; but processes of the release before hold and release without it.
            models.CheckConstraint(
                condition=Q(confirmed=False) | Q(status="active"),
                name="twofa_device_confirmed",
            ),
            models.CheckConstraint(
                condition=~Q(status="active") | Q(activated_at__isnull=False, usable_from__isnull=False),
                name="twofa_device_usable_from",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.destination}"

    def digest(self, action: str) -> bytes:
        """Return what the token of a challenge about this device approves: this action, on it, at this address."""
        contact = f"{self.channel}:{self.address}"
        return tokens.digest("device/1", self.participant_id, self.uuid, action, contact, self.destination)

    def is_usable(self, at: datetime) -> bool:
        """Tell whether it may receive tokens at ``at``: active, not held, and not cooling off."""
        is_ready = self.usable_from is not None and self.usable_from <= at
        return self.status == self.Status.ACTIVE and not self.is_held and is_ready

    @property
    def is_held(self) -> bool:
        """Tell whether it waits for staff: somebody said that a token sent to it was not asked for by them."""
        return self.held_at is not None and self.status != self.Status.REVOKED

    def hold(self, at: datetime) -> None:
        """Take no token of it any more until :meth:`release`; sessions that it verified are verified no longer."""
        self.change(held_at=at, confirmed=False, guard=("held_at",))

    def release(self) -> None:
        """Take its tokens again, and begin anew to count the wrong ones."""
        self.change(held_at=None, confirmed=self.status == self.Status.ACTIVE, failures=0)

    def verify_token(self, token: object) -> bool:
        """Answer this device's own open login challenge, and nothing else (django-otp's protocol).

        A challenge of a redemption is not looked at: a token that approves a purchase never opens a session.
        """
        return self.answers is not None and self.answers.answer_login(self, token)
