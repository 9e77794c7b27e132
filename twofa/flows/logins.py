"""Logging in: the password first, by the host's own backends; then the token; then an access token.

Nothing is asked of a phone before the password was right, so whoever does not know it neither sends a message nor uses
up an attempt. And nothing of the password is kept between the two calls: the second one brings it again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import authenticate, get_user_model
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.exceptions import (
    ChallengeClosed,
    InvalidCredentials,
    NotActive,
    OnboardingIncomplete,
    TokenRequired,
    TwoFactorError,
    Unavailable,
)
from twofa.flows import (
    access_tokens,
    buyers,
    challenges,
    contact_verifications,
    facts,
    issuing,
    login_budgets,
    renewals,
    verdicts,
)
from twofa.flows.access_tokens import Issued
from twofa.flows.buyers import Buyer
from twofa.flows.history import Actor, Trail
from twofa.flows.transactions import retried_once
from twofa.models import (
    Campaign,
    Challenge,
    Delivery,
    Event,
    Failure,
    LoginGrant,
    Method,
    Participant,
    Purpose,
    Storefront,
    TwoFactorMode,
)
from twofa.models.clock import Clock

logger = correlation.get_logger(__name__)

RETRY_AFTER = 5
"""Seconds after which a storefront may ask again, where one of the host's backends did not answer."""
_FACTOR_LOST = ("device.held", "device.revoked", "authenticator.revoked")
NOBODY = 0
"""The key of no participant: looked up where there is none, so that each refusal costs the same."""


@dataclass(frozen=True)
class Credentials:
    """What somebody logs in with; ``token`` is None in the first call."""

    username: str
    password: str = field(repr=False)
    token: object = field(default=None, repr=False)


@dataclass(frozen=True)
class LoggedIn:
    """Who logged in, and what their app calls with from here on."""

    participant: Participant
    issued: Issued


@sensitive_variables()
def log_in(
    campaign: Campaign,
    *,
    storefront: Storefront,
    credentials: Credentials,
    actor: Actor,
    request: HttpRequest | None = None,
) -> LoggedIn:
    """Log a participant in, and return their access token. ``request`` is for the host's backends alone.

    Raises: NotActive, Throttled, InvalidCredentials, Unavailable; after a right password NotFound, TokenRequired,
    ChallengeClosed, TokenMalformed, TokenInvalid, TokenSuperseded, TokenExpired, AttemptsExhausted,
    TransactionChanged, OnboardingIncomplete, ChannelUnavailable, DestinationNotAllowed, ResendCooldown,
    ResendsExhausted, FailedAttemptsBudget, SendBudget, TooManyOpenChallenges.
    """
    if not campaign.is_active:
        raise NotActive
    budget = login_budgets.charge(credentials.username, storefront=storefront, campaign=campaign)
    try:
        participant = _authenticated(campaign, credentials, request)
    except Unavailable:
        login_budgets.take_back(budget)
        raise
    if participant is None:
        raise InvalidCredentials
    login_budgets.clear(budget)
    try:
        proved_by, refusal = _second_factor(participant, credentials.token, storefront, actor)
    except OnboardingIncomplete as error:
        error.external_id = participant.external_id
        raise
    if refusal is not None:
        raise refusal
    # After the commit that used the token up: an issuer of the host's may be a service far away.
    issued = access_tokens.issue(participant, storefront=storefront)
    _tell(participant, proved_by, actor, since=budget.charged_at)
    return LoggedIn(participant, issued)


def _tell(participant: Participant, proved_by: str, actor: Actor, *, since: datetime) -> None:
    """Tell the trail who logged in. Raises: ChallengeClosed where a factor of theirs was taken away meanwhile.

    Whoever says "it was not me" ends what was issued: what is issued in the same moment must not come after it.
    """
    lost = Event.objects.filter(participant=OuterRef("pk"), type__in=_FACTOR_LOST, created_at__gte=since)
    own = Participant.objects.filter(pk=participant.pk)
    at, is_lost = own.values_list(Clock(), Exists(lost)).get()
    with transaction.atomic():
        trail = Trail(actor, at)
        if is_lost:
            locked = Participant.objects.select_for_update(no_key=True).get(pk=participant.pk)
            access_tokens.revoke_all(locked, trail, reason=Failure.DEVICE_REVOKED)
        else:
            trail.add("participant.logged_in", participant, proved_by=proved_by)
        trail.write()
    if is_lost:
        raise ChallengeClosed


@sensitive_variables()
def _authenticated(campaign: Campaign, credentials: Credentials, request: HttpRequest | None) -> Participant | None:
    """Return whose password it is, or None: for a name that nobody has, a wrong password, and nobody of ours.

    The same work for each: Django's backend hashes a password for a name that it does not know, and a participant is
    looked for where there is no user. Who is known is told by no clock (OWASP ASVS 6.3.8). Raises: Unavailable.
    """
    # As Django's own form does: whoever signed up with a name in one encoding logs in with it in another.
    name = get_user_model().normalize_username(credentials.username)
    try:
        user: Any = authenticate(request, username=name, password=credentials.password)
    except Exception as error:
        logger.error("a backend of AUTHENTICATION_BACKENDS failed: %s", type(error).__name__)
        raise Unavailable(RETRY_AFTER) from error
    whose: dict[str, Any] = {"pk": NOBODY} if user is None else {"user": user}
    rows = Participant.objects.select_related("campaign").filter(campaign=campaign, is_active=True, erased_at=None)
    participant = rows.filter(**whose).first()
    if participant is None or not getattr(user, "is_active", True):
        return None
    # As the password was checked against it: an access token is bound to that password, even if it changes meanwhile.
    participant.user = user
    return participant


@retried_once
@sensitive_variables()
def _second_factor(
    participant: Participant, token: object, storefront: Storefront, actor: Actor
) -> tuple[str, TwoFactorError | None]:
    """Ask for the token, or judge it, in one transaction; return by what it was proved, or why it was not.

    A refusal is a value: raised in here, it would roll its own charge back, and the message of a new challenge.
    """
    with transaction.atomic(durable=True):
        buyer = buyers.locked(participant.external_id, storefront=storefront, slug=participant.campaign.slug)
        buyer.ensure_active()
        if not is_needed(buyer.participant):
            return "password", None
        if token is None:
            return "", TokenRequired(_asked(buyer, storefront, actor))
        return _judge(buyer, token, storefront, actor)


def is_needed(participant: Participant) -> bool:
    """Tell whether a participant logs in with a token: who chose a method, and everybody where the campaign says so."""
    return (
        participant.two_factor_method != Method.NONE or participant.campaign.two_factor_mode == TwoFactorMode.REQUIRED
    )


@retried_once
@sensitive_variables()
def ask(participant: Participant, *, storefront: Storefront, actor: Actor) -> Challenge:
    """Return what whoever gave a right password answers on a page: the person's open login, or a new one.

    One for all their browsers: if each had its own, whoever knows the password, or closes three browsers, would keep
    them out by the cap on open challenges. And no message leaves for one that is open, unless nothing that was sent
    can be typed any more: the page has a button for it.

    Raises: NotFound, NotActive, OnboardingIncomplete, ChannelUnavailable, DestinationNotAllowed, ResendCooldown,
    FailedAttemptsBudget, SendBudget, TooManyOpenChallenges.
    """
    with transaction.atomic(durable=True):
        buyer = buyers.locked(participant.external_id, storefront=storefront, slug=participant.campaign.slug)
        buyer.ensure_active()
        known = _open(buyer, storefront, actor)
        if known is None:
            return _opened(buyer, storefront, actor)
        if known.delivery_status in Delivery.UNDELIVERED or known.is_token_expired(buyer.at):
            # Where none may be sent, the page says so whenever its button is pressed; there they can begin anew.
            with suppress(TwoFactorError), transaction.atomic():
                known.read_at = renewals.renew(known, actor=actor)
        return known


def _asked(buyer: Buyer, storefront: Storefront, actor: Actor) -> Challenge:
    """Return the challenge to answer: the open one, with a new message where the last one is old; or a new one."""
    known = _open(buyer, storefront, actor)
    if known is None:
        return _opened(buyer, storefront, actor)
    if _is_outdated(known, buyer):
        known.read_at = renewals.renew(known, actor=actor)
    return known


def _open(buyer: Buyer, storefront: Storefront, actor: Actor) -> Challenge | None:
    """Return the login that waits for its token, or None; one that nobody can answer any more is ended."""
    known = _last(buyer, storefront)
    if known is None or known.is_final or known.is_past_deadline(buyer.at):
        return None
    # Whoever may type no token today is not asked for one.
    used = facts.standing(known).failed_attempts
    issuing.ensure_attempts_left(used, buyer.campaign, buyer.participant.pk)
    if known.is_token_expired(buyer.at) and not known.resends_remaining:
        # Left open it would shut its owner out until its deadline: no token is good, and none may be sent.
        trail = Trail(actor, buyer.at)
        verdicts.end(known, Challenge.Status.CANCELLED, at=buyer.at, trail=trail)
        trail.write()
        return None
    return known


def _opened(buyer: Buyer, storefront: Storefront, actor: Actor) -> Challenge:
    """Open a login. Not while the last one's message is a moment old: to cancel is no way around the pause."""
    sent = Challenge.objects.filter(participant=buyer.participant, purpose=Purpose.LOGIN)
    renewals.ensure_none_lately(sent, buyer.at)
    asked = challenges.Ask(buyer.participant.external_id, Purpose.LOGIN)
    return challenges.open_for(buyer, asked, storefront=storefront, actor=actor)


def _is_outdated(challenge: Challenge, buyer: Buyer) -> bool:
    """Tell whether another message is due: the last one failed, or its pause is over and it may be replaced."""
    if challenge.delivery_status in Delivery.UNDELIVERED:
        return True
    if challenge.is_unbound:
        return False
    # With no message left the last token is all there is, for as long as it lives.
    return challenge.resends_remaining > 0 and buyer.at >= challenge.resend_available_at


@sensitive_variables()
def _judge(buyer: Buyer, token: object, storefront: Storefront, actor: Actor) -> tuple[str, TwoFactorError | None]:
    """Judge a token against the one thing that it may answer: the open login, else the grant of a registration.

    One, because a guess that is held against two is two guesses for the price of one.
    """
    challenge = _last(buyer, storefront)
    if challenge is None or challenge.is_final:
        grant = _grant(buyer, storefront)
        if grant is not None:
            return "registration", _use(grant, token, buyer, actor)
        if challenge is None:
            return "", TokenRequired(_asked(buyer, storefront, actor))
        return "", ChallengeClosed(challenge=challenge)
    standing = facts.standing(challenge)
    trail = Trail(actor, standing.at)
    refusal = verdicts.attempt(challenge, token, digest=challenge.digest(), standing=standing, trail=trail)
    trail.write()
    return "token", refusal


def _last(buyer: Buyer, storefront: Storefront) -> Challenge | None:
    """Return the participant's last login by way of this storefront, locked: the open one, if there is one."""
    rows = Challenge.objects.filter(participant=buyer.participant, storefront=storefront, purpose=Purpose.LOGIN)
    newest = rows.order_by("-created_at", "-id")
    pk = (
        newest.filter(status=Challenge.Status.PENDING, deadline__gt=buyer.at).values_list("pk", flat=True).first()
        or newest.values_list("pk", flat=True).first()
    )
    if pk is None:
        return None
    locked = Challenge.objects.select_for_update(no_key=True, of=("self",)).with_delivery()
    challenge: Challenge = locked.select_related("campaign").get(pk=pk)
    challenge.participant, challenge.read_at = buyer.participant, buyer.at
    return challenge


def _grant(buyer: Buyer, storefront: Storefront) -> LoginGrant | None:
    """Return what lets a new participant log in with the token that registered them, if that is still to be had."""
    rows = LoginGrant.objects.select_related("challenge").filter(
        participant=buyer.participant,
        challenge__storefront=storefront,
        # None of this is left once too many wrong tokens were typed for it.
        challenge__accepted__isnull=False,
        used_at=None,
        expires_at__gt=buyer.at,
    )
    grant = rows.first()
    if grant is None:
        return None
    usable = {device.pk for device in buyer.devices if device.is_usable(buyer.at)}
    return grant if grant.challenge.device_id in usable else None


def forget(at: datetime) -> int:
    """Delete grants that let nobody in any more; return how many."""
    return LoginGrant.objects.filter(expires_at__lte=at).delete()[0]


@sensitive_variables()
def _use(grant: LoginGrant, token: object, buyer: Buyer, actor: Actor) -> TwoFactorError | None:
    challenge = challenges.locked(grant.challenge)
    standing = contact_verifications.standing(challenge)
    trail = Trail(actor, standing.at)
    refusal = contact_verifications.judge_again(challenge, token, standing=standing, trail=trail)
    trail.write()
    if refusal is None:
        grant.used_at = standing.at
        grant.save(update_fields=["used_at"])
    return refusal
