"""Challenges: one request for a second factor, its attempts, its policy snapshot and its sealed seed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.apps import apps
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from twofa import tokens
from twofa.models.campaign import Campaign
from twofa.models.device import Device
from twofa.models.ids import uuid7
from twofa.models.participant import LOCALES, Participant
from twofa.models.policy import MAX_ATTEMPTS_CAP, TOKEN_LIFE_CAP, Channel, TokenAlphabet, Unbound
from twofa.models.purpose import DIGESTS_OF_ORDERS, STEP_UP, Purpose
from twofa.models.redemption import Redemption
from twofa.models.redemption_batch import RedemptionBatch
from twofa.models.states import StateMachine, final_states
from twofa.models.storefront import Storefront

if TYPE_CHECKING:
    from twofa.models.delivery import Delivery

SEAL_BYTES = 32
ACCEPTED_KEPT = timedelta(hours=24)
"""How long a repeated right token is still recognised after the approval."""


_NOT_ME = "not-me"
"""The label of what seals a link "it was not me": a key of its own, so that no other value of ours is ever one."""
OF_THEIR_OWN = (Purpose.DEVICE, *DIGESTS_OF_ORDERS)
"""Challenges of these are about a row of their own, and are answered at that row's path."""


class Verdict(models.TextChoices):
    """What one comparison said."""

    RIGHT = "right", _("right")
    WRONG = "wrong", _("not a token of this challenge")
    SUPERSEDED = "superseded", _("a token that a newer one has replaced")


class ChallengeQuerySet(models.QuerySet["Challenge"]):
    def with_delivery(self) -> Self:
        """Add ``delivery_status`` and ``delivery_reason`` of the present generation."""
        present = {"challenge": models.OuterRef("pk"), "generation": models.OuterRef("generation")}
        rows = apps.get_model("twofa", "Delivery")._base_manager.filter(**present)
        return self.annotate(
            delivery_status=Coalesce(models.Subquery(rows.values("status")[:1]), models.Value("queued")),
            delivery_reason=Coalesce(models.Subquery(rows.values("reason")[:1]), models.Value("")),
        )

    def overdue(self, at: datetime) -> Self:
        """Rows whose deadline is past at ``at`` and that nobody has ended yet."""
        return self.filter(status=Challenge.Status.PENDING, deadline__lte=at)

    def locked(self) -> Self:
        """Lock participant, redemption and challenge, in this order, as every flow does."""
        return self.select_for_update(no_key=True, of=("redemption__participant", "redemption", "self"))


class Challenge(StateMachine):
    """One request for a second factor, owned by the storefront that opened it."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    class Action(models.TextChoices):
        """What a challenge of purpose ``device`` lets happen to its ``subject``."""

        VERIFY = "verify", _("verify the device")
        ADD = "add", _("add the device")
        MAKE_DEFAULT = "make_default", _("make the device the default")
        REVOKE = "revoke", _("revoke the device")
        SWITCH_OFF = "switch_off", _("switch two-factor off")

    MACHINES = {
        "status": {
            Status.PENDING: frozenset({Status.APPROVED, Status.REJECTED, Status.EXPIRED, Status.CANCELLED}),
            Status.APPROVED: frozenset(),
            Status.REJECTED: frozenset(),
            Status.EXPIRED: frozenset(),
            Status.CANCELLED: frozenset(),
        }
    }
    FINAL = final_states(MACHINES["status"])
    SECRET_COLUMNS = ("seed", "superseded", "accepted", "transaction_digest", "address")
    """What no page shows, so that none reads it."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    storefront = models.ForeignKey(Storefront, models.PROTECT, related_name="challenges", verbose_name=_("storefront"))
    # Its index is the one below, which begins with it.
    campaign = models.ForeignKey(
        Campaign, models.PROTECT, db_index=False, related_name="challenges", verbose_name=_("campaign")
    )
    participant = models.ForeignKey(
        Participant, models.PROTECT, null=True, related_name="challenges", verbose_name=_("participant")
    )
    purpose = models.CharField(_("purpose"), max_length=64)
    # Defaults of the database as well: during an upgrade, the release before inserts without these columns.
    description = models.CharField(_("description"), max_length=200, blank=True, default="", db_default="")
    locale = models.CharField(
        _("language"),
        max_length=10,
        choices=LOCALES,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of the message, where nobody is known yet whose language it could be."),
    )
    redemption = models.OneToOneField(
        Redemption, models.PROTECT, null=True, related_name="challenge", verbose_name=_("redemption")
    )
    batch = models.OneToOneField(
        RedemptionBatch, models.PROTECT, null=True, related_name="challenge", verbose_name=_("batch")
    )
    subject = models.ForeignKey(
        Device, models.SET_NULL, null=True, related_name="challenges_about", verbose_name=_("subject")
    )
    action = models.CharField(_("action"), max_length=16, choices=Action.choices, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    transaction_digest = models.BinaryField(_("transaction digest"), max_length=32, editable=False)

    device = models.ForeignKey(Device, models.SET_NULL, null=True, related_name="challenges", verbose_name=_("device"))
    channel = models.CharField(_("channel"), max_length=10, choices=[*Channel.choices, *Unbound.choices])
    address = models.CharField(_("address"), max_length=254, editable=False)
    destination = models.CharField(_("destination"), max_length=254, editable=False)
    channel_chosen = models.BooleanField(_("channel chosen by the caller"), default=False)

    generation = models.PositiveSmallIntegerField(_("token number"), default=1)
    kid = models.CharField(_("key id"), max_length=64, editable=False)
    seed = models.BinaryField(_("seed"), max_length=tokens.SEED_BYTES, null=True, editable=False)
    superseded = models.BinaryField(_("superseded tokens"), default=b"", editable=False)
    accepted = models.BinaryField(_("accepted token"), max_length=SEAL_BYTES, null=True, editable=False)
    issued_at = models.DateTimeField(_("issued at"))
    expires_at = models.DateTimeField(_("expires at"), null=True)
    deadline = models.DateTimeField(_("deadline"))

    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    resends = models.PositiveSmallIntegerField(_("resends"), default=0)
    token_length = models.PositiveSmallIntegerField(_("token length"))
    token_alphabet = models.CharField(_("token alphabet"), max_length=12, choices=TokenAlphabet.choices)
    token_ttl = models.DurationField(_("token life"))
    max_attempts = models.PositiveSmallIntegerField(_("attempts allowed"))
    max_resends = models.PositiveSmallIntegerField(_("resends allowed"))
    resend_cooldown = models.DurationField(_("pause between messages"))
    allowed_channels = models.JSONField(_("allowed channels"))
    policy_version = models.PositiveIntegerField(_("policy version"))

    correlation_id = models.CharField(_("correlation id"), max_length=128)
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)

    objects = ChallengeQuerySet.as_manager()
    deliveries: models.Manager[Delivery]
    read_at: datetime
    """The database's time when a flow read or changed this row."""
    delivery_status: str = "queued"
    delivery_reason: str = ""
    """Of the present generation; set by ``ChallengeQuerySet.with_delivery``."""

    class Meta:
        verbose_name = _("challenge")
        verbose_name_plural = _("challenges")
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("campaign", "created_at"), name="twofa_challenge_campaign"),
            models.Index(fields=("participant",), condition=Q(status="pending"), name="twofa_challenge_open"),
            models.Index(fields=("deadline",), condition=Q(status="pending"), name="twofa_challenge_deadline"),
            models.Index(fields=("ended_at",), condition=Q(accepted__isnull=False), name="twofa_challenge_accepted"),
            # For the list of staff. An approved challenge never enters it, and an open one has the two above.
            models.Index(
                fields=("status", "id"),
                condition=Q(status__in=("rejected", "expired", "cancelled")),
                name="twofa_challenge_unapproved",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(attempts__lte=F("max_attempts"), max_attempts__lte=MAX_ATTEMPTS_CAP, max_attempts__gte=1),
                name="twofa_challenge_attempts",
            ),
            # Seeds live exactly as long as their challenge: an ended one cannot be opened, even with the key.
            models.CheckConstraint(
                condition=Q(status="pending", seed__isnull=False, ended_at__isnull=True)
                | Q(seed__isnull=True, ended_at__isnull=False, superseded=b"") & ~Q(status="pending"),
                name="twofa_challenge_seed",
            ),
            models.CheckConstraint(
                condition=Q(accepted__isnull=True) | Q(status="approved"), name="twofa_challenge_accepted_approved"
            ),
            models.CheckConstraint(
                condition=Q(purpose="redemption", redemption__isnull=False)
                | ~Q(purpose="redemption") & Q(redemption__isnull=True),
                name="twofa_challenge_redemption",
            ),
            models.CheckConstraint(
                condition=Q(purpose="batch", batch__isnull=False) | ~Q(purpose="batch") & Q(batch__isnull=True),
                name="twofa_challenge_batch",
            ),
            models.CheckConstraint(
                condition=Q(purpose="device") & ~Q(action="") | ~Q(purpose="device") & Q(action=""),
                name="twofa_challenge_action",
            ),
            # Whose address it is nobody knows before they are a participant: of these, and of no other challenges.
            models.CheckConstraint(
                condition=Q(participant__isnull=False) | Q(purpose="contact"), name="twofa_challenge_somebody"
            ),
            models.UniqueConstraint(
                fields=("subject",),
                condition=Q(status="pending", purpose="device"),
                name="twofa_challenge_one_per_device",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose_label} {self.id}"

    @property
    def purpose_label(self) -> str:
        """Return what staff call its purpose."""
        if self.purpose.startswith(STEP_UP):
            return str(_("step-up: %(name)s") % {"name": self.purpose.removeprefix(STEP_UP)})
        return str(dict(Purpose.choices).get(self.purpose, self.purpose))

    @property
    def is_final(self) -> bool:
        """Tell whether it has ended."""
        return self.status != self.Status.PENDING

    @property
    def stands_alone(self) -> bool:
        """Tell whether it is about no row but itself: then it is answered at its own path."""
        return self.purpose not in OF_THEIR_OWN

    @property
    def is_unbound(self) -> bool:
        """Tell whether it is answered by what makes codes on its own: no message is sent, and no token is ours."""
        return self.channel in Unbound.values

    def digest(self) -> bytes:
        """Return what the token of a challenge that stands alone approves, in the one way there is to write it.

        Purpose, whose it is, and what their message says of it: a login is no step-up, and one step-up is no other.
        """
        if self.purpose == Purpose.CONTACT:
            return tokens.digest("contact/1", self.purpose, self.campaign_id, self.channel, self.address)
        return tokens.digest("challenge/1", self.purpose, self.campaign_id, self.participant_id, self.description)

    @property
    def short_digest(self) -> str:
        """Return what a message and a shop both show of the digest, so that a person may compare them.

        Eight hexadecimal digits. Not a proof, which is the whole digest's: a help for the eye.
        """
        return bytes(self.transaction_digest).hex()[:8].upper()

    @property
    def attempts_remaining(self) -> int:
        return self.max_attempts - self.attempts

    @property
    def resends_remaining(self) -> int:
        return max(self.max_resends - self.resends, 0)

    @property
    def resend_available_at(self) -> datetime:
        """Return the end of the pause after the last message."""
        return self.issued_at + self.resend_cooldown

    @property
    def live_until(self) -> datetime:
        """Return when the present token dies: fixed at its hand-off, bounded before that."""
        return min(self.expires_at or self.issued_at + TOKEN_LIFE_CAP, self.deadline)

    def expiry_of_hand_off(self, at: datetime) -> datetime:
        """Return the expiry of a token handed to the provider at ``at``: its life counts from then, within the cap."""
        return min(at + self.token_ttl, self.issued_at + TOKEN_LIFE_CAP, self.deadline)

    def is_past_deadline(self, at: datetime) -> bool:
        return at >= self.deadline

    def is_token_expired(self, at: datetime) -> bool:
        """Tell whether the present token is dead at ``at``; the instant of expiry itself is."""
        return at >= self.live_until

    def normalise(self, given: object) -> str:
        """Return what was typed as it was derived. Raises: TokenMalformed."""
        if self.channel == Unbound.OTP:
            # What forms these have only their devices know.
            return tokens.foreign(given)
        return tokens.normalise(given, alphabet=self.token_alphabet, length=self.token_length)

    def derive_token(self) -> str:
        """Compute the present token. Raises: tokens.UnknownKey, ValueError where the challenge has ended."""
        if not self.seed:
            raise ValueError("it has no token: it has ended, or no message brings one")
        binding = tokens.Binding(
            purpose=self.purpose,
            campaign=self.campaign_id,
            participant=self.participant_id,
            challenge=self.id,
            generation=self.generation,
            contact=f"{self.channel}:{self.address}",
            transaction=bytes(self.transaction_digest),
        )
        return tokens.derive(
            binding, seed=bytes(self.seed), kid=self.kid, alphabet=self.token_alphabet, length=self.token_length
        )

    def judge(self, token: str) -> Verdict:
        """Compare a normalised token with the present one, and with those it replaced. Raises: tokens.UnknownKey."""
        if tokens.matches(token, self.derive_token()):
            return Verdict.RIGHT
        if self.superseded and tokens.is_sealed(self._superseded_seals(), self.seal("superseded", token)):
            return Verdict.SUPERSEDED
        return Verdict.WRONG

    def was_accepted(self, token: str) -> bool:
        """Tell whether ``token`` is the one that approved this challenge, as long as that is remembered."""
        try:
            return self.accepted is not None and tokens.is_sealed([bytes(self.accepted)], self.seal("accepted", token))
        except tokens.UnknownKey:
            return False

    def seal(self, label: str, token: str) -> bytes:
        """Return the keyed digest of a token of this challenge. Raises: tokens.UnknownKey."""
        return tokens.seal(label, self.id, token, kid=self.kid)

    def denial_seal(self, device: int) -> str:
        """Return what makes the link "it was not me" that is sent to a device. Raises: tokens.UnknownKey.

        Bound to the device, so that the page shows what *that* message showed and no other contact of the participant;
        not to the generation, because a message stays true when another one follows it.
        """
        return tokens.capability(_NOT_ME, (self.id, device), kid=self.kid)

    def denied_by(self, seal: str, devices: Sequence[int]) -> int | None:
        """Return which of ``devices`` a link "it was not me" was sent to, or None where it is none of ours."""
        place = tokens.granted(seal, _NOT_ME, [(self.id, device) for device in devices])
        return None if place is None else devices[place]

    def superseding(self, kid: str) -> bytes:
        """Return ``superseded`` with the present token added: what a rotation to the key ``kid`` writes.

        Where its key has left the ring, the present token is unknowable and is forgotten: it will be told as wrong.
        """
        if not self.seed:
            return bytes(self.superseded)
        try:
            return bytes(self.superseded) + tokens.seal("superseded", self.id, self.derive_token(), kid=kid)
        except tokens.UnknownKey:
            return bytes(self.superseded)

    def _superseded_seals(self) -> list[bytes]:
        kept = bytes(self.superseded)
        return [kept[start : start + SEAL_BYTES] for start in range(0, len(kept), SEAL_BYTES)]
