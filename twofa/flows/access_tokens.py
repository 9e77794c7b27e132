"""Access tokens of participants: issued after a login, recognised, and ended by whatever ends the trust in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.conf import conf
from twofa.exceptions import NotAuthenticated, TwoFactorError, Unavailable
from twofa.flows.history import Actor, Trail, explained
from twofa.models import AccessToken, Campaign, Participant, Storefront
from twofa.models.clock import Clock, now

logger = correlation.get_logger(__name__)

RETRY_AFTER = 5
"""Seconds after which a storefront may ask again, where the host's issuer did not answer."""
KEPT = timedelta(days=30)
"""How long an expired token is shown to staff."""
LOGGED_OUT = "logged_out"
TOUCHED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Issued:
    """A new access token, and for how many seconds it is good."""

    token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True)
class Bearer:
    """Who calls with an access token: a participant, by way of the storefront where they logged in."""

    participant: Participant
    storefront: Storefront


class Issuer(Protocol):
    """What ``TWOFA_ACCESS_TOKEN_ISSUER`` names."""

    def issue(self, *, participant: Participant, storefront: Storefront) -> Issued:
        """Return a new token. ``participant.user`` is as the password was checked against it."""

    def authenticate(self, text: str) -> Bearer | None:
        """Return whose token it is, or None where it is none of this issuer's, or not good any more."""


class OpaqueIssuer:
    """The default issuer: random tokens, of which the database has a hash, and which end at once."""

    def issue(self, *, participant: Participant, storefront: Storefront) -> Issued:
        """Store a token and return its text, which is kept nowhere. Raises: NotFound where they were just erased."""
        life = conf.access_token_ttl
        with transaction.atomic():
            # The erasure of a participant deletes their tokens under this lock: none comes after it.
            Participant.objects.select_for_update(no_key=True).get(pk=participant.pk).ensure_kept()
            at = now()
            token, text = AccessToken.mint(
                participant=participant,
                storefront=storefront,
                session_hash=AccessToken.digest(_session_hashes(participant.user)[0]),
                created_at=at,
                expires_at=at + life,
            )
            token.save(force_insert=True)
        return Issued(text, int(life.total_seconds()))

    @sensitive_variables()
    def authenticate(self, text: str) -> Bearer | None:
        """Return whose token it is. Nothing is cached: one that was revoked is dead at once."""
        prefix = AccessToken.prefix_of(text)
        if prefix is None:
            return None
        rows = AccessToken.objects.select_related("participant__user", "participant__campaign", "storefront")
        served = Campaign.objects.filter(pk=OuterRef("participant__campaign"), storefronts=OuterRef("storefront"))
        token = rows.annotate(clock=Clock(), is_served=Exists(served)).filter(prefix=prefix).first()
        if token is None or not token.opens(text) or not _is_trusted(token):
            return None
        at = _read_at(token)
        if token.last_used_at is None or at - token.last_used_at >= TOUCHED_EVERY:
            AccessToken.objects.filter(pk=token.pk).update(last_used_at=at)
        return Bearer(token.participant, token.storefront)


def _read_at(token: AccessToken) -> datetime:
    return cast(datetime, vars(token)["clock"])


def _is_trusted(token: AccessToken) -> bool:
    """Tell whether all that the token was given for still holds."""
    if not token.is_live(_read_at(token)) or not vars(token)["is_served"]:
        return False
    return token.is_of_session(_session_hashes(token.participant.user))


def _may_call(bearer: Bearer) -> bool:
    """Tell whether neither the participant, nor their user, nor the storefront was switched off or erased."""
    participant = bearer.participant
    is_there = participant.is_active and participant.erased_at is None and bearer.storefront.is_active
    return is_there and getattr(participant.user, "is_active", True)


def _session_hashes(user: Any) -> list[str]:
    """Return what Django binds a user's sessions to, the present one first; a user model may have none."""
    if not hasattr(user, "get_session_auth_hash"):
        return [""]
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]


def issue(participant: Participant, *, storefront: Storefront) -> Issued:
    """Ask the host's issuer, or ours, for an access token. Raises: Unavailable."""
    try:
        issued: Issued = conf.access_token_issuer.issue(participant=participant, storefront=storefront)
    except TwoFactorError:
        raise
    except Exception as error:
        logger.exception("the issuer of access tokens failed (TWOFA_ACCESS_TOKEN_ISSUER)")
        raise Unavailable(RETRY_AFTER) from error
    return issued


@sensitive_variables()
def authenticate(text: str) -> Bearer:
    """Return who calls with an access token. Raises: NotAuthenticated, one answer for every cause; Unavailable.

    Whoever issued it: a service of the host's may not know yet that staff have switched somebody off.
    """
    try:
        bearer: Bearer | None = conf.access_token_issuer.authenticate(text)
    except TwoFactorError:
        raise
    except Exception as error:
        logger.exception("the issuer of access tokens failed (TWOFA_ACCESS_TOKEN_ISSUER)")
        raise Unavailable(RETRY_AFTER) from error
    if bearer is None or not _may_call(bearer):
        raise NotAuthenticated
    return bearer


def revoke(token: AccessToken, *, actor: Actor, reason: str = "") -> None:
    """Revoke a token: it opens nothing from the next request on. Revoking it again changes nothing."""
    with transaction.atomic():
        locked = AccessToken.objects.select_for_update(no_key=True, of=("self",)).get(pk=token.pk)
        if locked.revoked_at is not None:
            return
        trail = Trail(actor, now())
        locked.revoked_at = trail.at
        locked.save(update_fields=["revoked_at"])
        _record(trail, locked.participant, 1, reason)
        trail.write()
    token.revoked_at = locked.revoked_at


def end_all(participant: Participant, *, storefront: Storefront, actor: Actor) -> int:
    """Log a participant out wherever they logged in by way of a storefront; return how many tokens that ended.

    Of other storefronts it ends none: who is logged in there is no business of this one (OWASP ASVS 8.4.1).
    Raises: NotFound where they were just erased.
    """
    with transaction.atomic():
        # Under the lock that a new one is issued under: none that was asked for before comes after it.
        locked = Participant.objects.select_for_update(no_key=True).get(pk=participant.pk)
        locked.ensure_kept()
        trail = Trail(actor, now())
        count = revoke_all(locked, trail, reason=LOGGED_OUT, storefront=storefront)
        trail.write()
    return count


def revoke_all(
    participant: Participant, trail: Trail, *, reason: str = "", storefront: Storefront | None = None
) -> int:
    """Revoke what a locked participant holds, by way of one storefront or of each; return how many there were."""
    live = AccessToken.objects.filter(participant=participant, revoked_at__isnull=True, expires_at__gt=trail.at)
    if storefront is not None:
        live = live.filter(storefront=storefront)
    count = live.update(revoked_at=trail.at)
    if count:
        _record(trail, participant, count, reason)
    return count


def _record(trail: Trail, participant: Participant, count: int, reason: str) -> None:
    trail.add("participant.tokens_revoked", participant, count=count, **explained(reason))


def forget_of(participant: Participant) -> int:
    """Delete a locked participant's tokens; return how many there were."""
    return AccessToken.objects.filter(participant=participant).delete()[0]


def forget(at: datetime) -> int:
    """Delete what expired long ago; return how many."""
    return AccessToken.objects.filter(expires_at__lte=at - KEPT).delete()[0]
