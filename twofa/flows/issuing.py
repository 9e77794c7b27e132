"""Issuing tokens: the first generation of a challenge, and those that replace it."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twofa import alerts, correlation, jobs, tokens, totp
from twofa.alerts import Alert
from twofa.contacts import Contact
from twofa.exceptions import FailedAttemptsBudget, SendBudget, TooManyOpenChallenges
from twofa.flows import outbox
from twofa.flows.facts import DAY, Budgets, prefix_of
from twofa.flows.history import Trail, explained
from twofa.flows.transactions import after_commit
from twofa.models import (
    STEP_UP,
    Campaign,
    Challenge,
    Delivery,
    Device,
    Participant,
    Purpose,
    Redemption,
    RedemptionBatch,
    Storefront,
    writes,
)

_FORM_OF_CODES = {"token_length": totp.DIGITS, "token_alphabet": tokens.NUMERIC}
_FIELDS_OF_CONTACT = ("channel", "address", "destination")


@dataclass(frozen=True)
class Source:
    """What makes codes on its own, in the place of a contact: no message goes there."""

    channel: str
    address: str = ""
    destination: str = ""


@dataclass(frozen=True)
class Request:
    """What a new challenge is about. ``latest`` is when it ends at the latest, whatever the campaign's time for it.

    ``digest`` is that of the row that waits for it; one that stands alone has its own.
    """

    storefront: Storefront
    campaign: Campaign
    participant: Participant | None
    purpose: str
    digest: bytes | None = None
    description: str = ""
    locale: str = ""
    redemption: Redemption | None = None
    batch: RedemptionBatch | None = None
    subject: Device | None = None
    action: str = ""
    channel_chosen: bool = False
    latest: datetime | None = None


def ensure_attempts_left(failed_attempts: int, campaign: Campaign, participant: int | None = None) -> None:
    """Raise where the participant used up the day's wrong tokens. Raises: FailedAttemptsBudget.

    Attempts of one challenge are capped, but whoever holds the session opens the next one: the day is capped as well.
    """
    if failed_attempts >= campaign.failed_attempts_per_day:
        _alert("failed_attempts_per_day", campaign, participant)
        raise FailedAttemptsBudget(int(DAY.total_seconds()))


def ensure_opens(budgets: Budgets, campaign: Campaign, participant: int | None = None) -> None:
    """Raise where one more challenge may not be opened. Raises: TooManyOpenChallenges."""
    if budgets.open_challenges >= campaign.max_open_challenges:
        _alert("max_open_challenges", campaign, participant)
        raise TooManyOpenChallenges(math.ceil(campaign.redemption_ttl.total_seconds()))


def ensure_sends(budgets: Budgets, campaign: Campaign, participant: int | None = None) -> None:
    """Raise where one more message would leave a budget. Raises: SendBudget."""
    if not within_send_budgets(budgets, campaign, participant):
        raise SendBudget(_seconds_to_wait(budgets, campaign))


def within_send_budgets(budgets: Budgets, campaign: Campaign, participant: int | None = None) -> bool:
    """Tell whether one more message stays inside every budget of 24 hours; alert where it does not."""
    used_up = _used_up(budgets, campaign)
    for budget in used_up:
        # What all of a campaign's participants spend together is one fact, whoever comes first after it is gone.
        _alert(budget, campaign, participant if budget in _BUDGETS_OF_ONE else None)
    return not used_up and budgets.paused_until is None


def ensure_share(address: str, campaign: Campaign, *, at: datetime) -> None:
    """Raise where those who have not proved that an address is theirs used up their part of its messages.

    A shop's sign-up page asks for tokens without an account, and a new account for those of a new device: with all of a
    phone's messages of the day, a stranger could keep its owner from every login and order until tomorrow.

    Raises: SendBudget.
    """
    sent = Delivery.objects.to(address).filter(created_at__gt=at - DAY, event__in=_OF_STRANGERS)
    if sent.count() >= _share(campaign.sends_per_destination_per_day):
        _alert("sends_per_destination_per_day", campaign, None)
        raise SendBudget(int(DAY.total_seconds()))


def is_closed(budgets: Budgets, campaign: Campaign) -> bool:
    """Tell whether the way to this contact is closed to everybody, while another channel's may be open."""
    for budget in (closed := _used_up(budgets, campaign) & _BUDGETS_OF_A_CHANNEL):
        _alert(budget, campaign, None)
    return bool(closed) or budgets.paused_until is not None


_BUDGETS_OF_ONE = {"sends_per_participant_per_day", "sends_per_destination_per_day"}
_SHARE = 2
_OF_STRANGERS = ("contact.token", "device.token")
"""Messages to addresses that nobody has proved to be theirs."""
_BUDGETS_OF_A_CHANNEL = {"sends_per_prefix_per_day", "sms_per_day"}


def _used_up(budgets: Budgets, campaign: Campaign) -> set[str]:
    used = {
        "sends_per_participant_per_day": budgets.sends_of_participant,
        "sends_per_destination_per_day": budgets.sends_to_destination,
        "sends_per_campaign_per_day": budgets.sends_of_campaign,
        "sends_per_prefix_per_day": budgets.sends_to_prefix,
        "sms_per_day": budgets.sms_of_campaign,
    }
    caps = {name: getattr(campaign, name) for name in used}
    used_up = {name for name, count in used.items() if caps[name] is not None and count >= caps[name]}
    # Whoever steals a buyer's session opens and cancels orders until the director's messages of the day are gone, and
    # nobody's approval nor their own login goes through any more. So one requester has half of them, and no more.
    is_share_used_up = budgets.sends_to_approver >= _share(campaign.sends_per_participant_per_day)
    return used_up | ({"sends_per_participant_per_day"} if is_share_used_up else set())


def _share(cap: int) -> int:
    return max(cap // _SHARE, 1)


def _seconds_to_wait(budgets: Budgets, campaign: Campaign) -> int:
    if budgets.paused_until is None or _used_up(budgets, campaign):
        return int(DAY.total_seconds())
    return math.ceil((budgets.paused_until - budgets.at).total_seconds())


def _alert(budget: str, campaign: Campaign, participant: int | None) -> None:
    alerts.sound(Alert.BUDGET_REFUSED, budget=budget, campaign=campaign.pk, participant=participant)


def issue(request: Request, contact: Device | Contact | Source, *, at: datetime, trail: Trail) -> Challenge:
    """Store a challenge with its first generation. The caller queues its delivery.

    One that is answered without a message has no seed: there is no token of ours, for nobody to find.
    """
    campaign = request.campaign
    latest = at + campaign.redemption_ttl
    deadline = latest if request.latest is None else min(latest, request.latest)
    is_unbound = isinstance(contact, Source)
    challenge = Challenge(
        storefront=request.storefront,
        campaign=campaign,
        participant=request.participant,
        purpose=request.purpose,
        redemption=request.redemption,
        batch=request.batch,
        subject=request.subject,
        action=request.action,
        description=request.description,
        locale=request.locale,
        device=contact if isinstance(contact, Device) else None,
        channel_chosen=request.channel_chosen,
        kid=tokens.issuing_kid(),
        seed=b"" if is_unbound else secrets.token_bytes(tokens.SEED_BYTES),
        issued_at=at,
        # Its codes come and go every half minute, and may be typed until the end.
        expires_at=deadline if is_unbound else None,
        created_at=at,
        deadline=deadline,
        correlation_id=correlation.current(),
        **_contact_columns(contact),
        **{**campaign.snapshot(), **(_FORM_OF_CODES if is_unbound else {})},
    )
    challenge.transaction_digest = challenge.digest() if request.digest is None else request.digest
    writes.insert(challenge)
    trail.add("challenge.issued", challenge, channel=contact.channel, destination=contact.destination)
    return challenge


def rotate(
    challenge: Challenge,
    contact: Device | Contact,
    *,
    at: datetime,
    trail: Trail,
    cause: str,
    counted: bool = False,
    chosen: bool = False,
    reason: str = "",
) -> Delivery:
    """Replace the token by one of a new generation, and queue it. Attempts stay (NIST SP 800-63B-4, 3.1.3.2).

    The old token is void with the commit of this transaction; its keyed digest stays, to tell its user which is which.
    """
    supersede(challenge, trail)
    # A code of an app had a form of its own.
    form = {name: challenge.campaign.snapshot()[name] for name in _FORM_OF_CODES} if challenge.is_unbound else {}
    kid = tokens.issuing_kid()
    challenge.change(
        guard=("generation",),
        generation=challenge.generation + 1,
        superseded=challenge.superseding(kid),
        kid=kid,
        seed=secrets.token_bytes(tokens.SEED_BYTES),
        issued_at=at,
        expires_at=None,
        resends=challenge.resends + counted,
        channel_chosen=challenge.channel_chosen or chosen,
        device=contact if isinstance(contact, Device) else None,
        **_contact_columns(contact),
        **form,
    )
    trail.add(
        "challenge.renewed",
        challenge,
        cause=cause,
        generation=challenge.generation,
        channel=contact.channel,
        destination=contact.destination,
        **explained(reason),
    )
    return queue(challenge, at=at, reminted=cause == "reminted")


def supersede(challenge: Challenge, trail: Trail) -> None:
    """Take back the messages of a challenge that are not sent yet."""
    for outdated in Delivery.objects.select_for_update(no_key=True).open().filter(challenge=challenge):
        # It is at hand: without this, the event would read it again.
        outdated.challenge = challenge
        outbox.move(outdated, trail, Delivery.Status.SUPERSEDED)


def queue(challenge: Challenge, *, at: datetime, reminted: bool = False, held: bool = False) -> Delivery:
    """Store the outbox row of the present generation, and tell a worker after the commit.

    One that is ``held`` counts against the budgets of sends, and waits for :func:`let_go`.
    """
    row = Delivery(
        challenge=challenge,
        campaign_id=challenge.campaign_id,
        prefix=prefix_of(challenge.campaign, challenge),
        # Whose contact it is: in their language, and counted as a message to them, whoever asked for it.
        participant_id=challenge.participant_id if challenge.device is None else challenge.device.participant_id,
        device_id=challenge.device_id,
        generation=challenge.generation,
        event=message_event(challenge),
        reminted=reminted,
        due_at=challenge.deadline if held else at,
        created_at=at,
        correlation_id=correlation.current(),
        **{name: getattr(challenge, name) for name in _FIELDS_OF_CONTACT},
    )
    if held:
        writes.insert(row)
    else:
        _store(row)
    challenge.delivery_status, challenge.delivery_reason = row.status, row.reason
    return row


def let_go(challenge: Challenge, *, at: datetime) -> None:
    """Send the message that was held back, if there is one."""
    if challenge.is_unbound:
        return
    rows = Delivery.objects.select_for_update(no_key=True)
    row = rows.get(challenge=challenge, generation=challenge.generation)
    row.change(due_at=at)
    after_commit(_publish, row)


def queue_notice(event: str, contact: Device, *, at: datetime, **context: str) -> Delivery:
    """Store the outbox row of a notice, which carries no token."""
    row = Delivery(
        campaign_id=contact.participant.campaign_id,
        prefix=prefix_of(contact.participant.campaign, contact),
        participant_id=contact.participant_id,
        device=contact,
        event=event,
        context=context,
        due_at=at,
        created_at=at,
        correlation_id=correlation.current(),
        **_contact_columns(contact),
    )
    _store(row)
    return row


def message_event(challenge: Challenge) -> str:
    """Return the name of the message that carries this challenge's token."""
    if challenge.purpose == Purpose.DEVICE and challenge.action != Challenge.Action.VERIFY:
        return "device_change.token"
    if challenge.redemption is not None and challenge.redemption.scheduled_for is not None:
        return "schedule.token"
    return message_of(challenge.purpose)


def message_of(purpose: str) -> str:
    """Return the name of the message that carries the tokens of a purpose."""
    return "step_up.token" if purpose.startswith(STEP_UP) else f"{purpose}.token"


def _store(row: Delivery) -> None:
    writes.insert(row)
    # Whatever becomes of the job, the sweeper finds the row.
    after_commit(_publish, row)


def _publish(row: Delivery) -> None:
    jobs.publish(jobs.DELIVER, row.pk)


def contact_of(challenge: Challenge) -> Device | Contact | None:
    """Return where a challenge's messages go: its device, or of a contact verification the address itself."""
    if challenge.purpose == Purpose.CONTACT:
        return Contact(challenge.channel, challenge.address)
    return challenge.device


def _contact_columns(contact: Device | Contact | Source) -> dict[str, Any]:
    return {name: getattr(contact, name) for name in _FIELDS_OF_CONTACT}
