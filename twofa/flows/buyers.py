"""Whoever redeems: locked, with what a checkout of one redemption or of a batch must know before it decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db.models import BooleanField, DateTimeField, DecimalField

from twofa.exceptions import ApproverNotEntitled, NotActive, NotFound, OnboardingIncomplete, TwoFactorError
from twofa.flows import issuing, onboarding
from twofa.flows.facts import Budgets
from twofa.models import Campaign, Device, Participant, Redemption, Storefront, statements

_LOCKED = statements.Select(
    """FROM {participant}
    JOIN {campaign} ON campaign.id = participant.campaign_id
    JOIN {served} ON served.campaign_id = campaign.id AND served.storefront_id = %(storefront)s
    JOIN {account} ON account.{account_key} = participant.user_id
    WHERE campaign.slug = %(slug)s AND participant.external_id = %(external_id)s""",
    participant=Participant,
    campaign=Campaign,
    joined={"served": Storefront.campaigns.through, "account": get_user_model()},
    extra={"user_active": ("{account_active}", BooleanField()), "at": ("{clock}", DateTimeField())},
    lock=("participant",),
)
# One row at least, so that there is one to tell what was spent. That is a subselect of nothing in the row: PostgreSQL
# sums once, and not for each device.
_DEVICES = statements.Select(
    """FROM {participant}
    JOIN {campaign} ON campaign.id = participant.campaign_id
    LEFT JOIN {device} ON device.participant_id = participant.id AND device.status = 'active'
    WHERE campaign.slug = %(slug)s AND participant.external_id = %(external_id)s
    ORDER BY device.is_default DESC, device.id""",
    device=Device,
    joined={
        "participant": Participant,
        "campaign": Campaign,
        "redemption": Redemption,
        "buyer": Participant,
        "place": Campaign,
    },
    extra={
        "spent": (
            """(SELECT coalesce(sum(redemption.amount), 0) FROM {redemption} WHERE redemption.participant_id =
            (SELECT buyer.id FROM {buyer} JOIN {place} ON place.id = buyer.campaign_id
            WHERE place.slug = %(slug)s AND buyer.external_id = %(external_id)s)
            AND redemption.created_at > {yesterday}
            AND redemption.status IN ('pending_2fa_approval', 'approved', 'scheduled', 'completed'))""",
            DecimalField(max_digits=40, decimal_places=2),
        ),
    },
)


@dataclass(frozen=True)
class Buyer:
    """Whoever redeems, locked: their active devices, the default one first; the points of 24 hours; the lock's time."""

    participant: Participant
    user_active: bool
    devices: list[Device]
    spent: Decimal
    at: datetime

    @property
    def campaign(self) -> Campaign:
        """Return the campaign whose points are redeemed."""
        return self.participant.campaign

    def ensure_active(self) -> None:
        """Raise where staff switched something off. Raises: NotActive."""
        if not (self.campaign.is_active and self.participant.is_active and self.user_active):
            raise NotActive


def locked(external_id: str, *, storefront: Storefront, slug: str) -> Buyer:
    """Lock whoever redeems: one checkout of a participant at a time, so that budgets are counted one after another.

    What they spent is read after the lock was granted, in the same round trip. Raises: NotFound.
    """
    rows, found = statements.read(_LOCKED, _DEVICES, slug=slug, storefront=storefront.pk, external_id=external_id)
    if not rows:
        known = Campaign.objects.filter(slug=slug, storefronts=storefront).exists()
        raise NotFound(**({"resource": "participant"} if known else {}))
    (row,) = rows
    row["participant"].ensure_kept()
    row["participant"].campaign = row["campaign"]
    devices = [line["device"] for line in found if line["device"] is not None]
    return Buyer(row["participant"], row["user_active"], devices, found[0]["spent"], row["at"])


def ensure_identity(participant: Participant, refusal: TwoFactorError | None) -> None:
    """Raise where the campaign demands an identity that is not proved, whether or not a token is asked for.

    ``refusal`` is why there is no device for the token: what is missing is told at once, not one after the other.
    Raises: OnboardingIncomplete.
    """
    unproved = onboarding.refusal(participant)
    if unproved is None:
        return
    if isinstance(refusal, OnboardingIncomplete):
        missing = [*refusal.params["missing"], *unproved.params["missing"]]
        raise OnboardingIncomplete(missing=missing, next_action=onboarding.read(participant).next_action)
    raise unproved


def ensure_may_be_asked(buyer: Buyer, budgets: Budgets, refusal: TwoFactorError | None, *, sends: bool = True) -> None:
    """Raise where a required factor cannot be asked for: whoever cannot be asked cannot redeem.

    ``sends`` tells whether a message is sent for it.

    Raises: ``refusal``, ApproverNotEntitled, FailedAttemptsBudget, TooManyOpenChallenges, SendBudget.
    """
    campaign, participant = buyer.campaign, buyer.participant
    if refusal is not None:
        raise refusal
    if not budgets.recipient_active:
        raise ApproverNotEntitled
    issuing.ensure_attempts_left(budgets.failed_attempts, campaign, participant.pk)
    issuing.ensure_opens(budgets, campaign, participant.pk)
    if sends:
        issuing.ensure_sends(budgets, campaign, participant.pk)
