"""From a right password to a session: open a challenge, judge its token, let its owner in.

A challenge is opened only after a right password, so nobody else can have messages sent, or spend a person's attempts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import django_otp
from django.contrib import auth
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from twofa.conf import conf
from twofa.contrib.login import halves
from twofa.contrib.login.halves import Half
from twofa.exceptions import ChallengeClosed, NotFound, OnboardingIncomplete, TwoFactorError
from twofa.flows import authenticators, challenges, destinations, issuing, logins, recovery_codes
from twofa.flows.history import Actor
from twofa.models import ActorKind, Campaign, Challenge, Device, Participant, Purpose, Storefront


def begin(request: HttpRequest, user: Any) -> None:
    """Ask whoever gave a right password for a token, and keep half a sign-in.

    A person's browsers share one challenge: each has given the password, and the token lets in one of them.

    Raises: as :func:`logins.ask`; OnboardingIncomplete where the user is no participant.
    """
    known = halves.find(request)
    if known is not None and known.person() != user:
        cancel(request)
    participant = _participant(user)
    if not destinations.devices_of(participant)[0]:
        _ensure_verifiable(participant)
    challenge = logins.ask(participant, storefront=storefront(), actor=_actor(participant))
    halves.begin(request, user, challenge.pk)


def _ensure_verifiable(participant: Participant) -> None:
    """Raise where a held app is what the session would be verified by: no recovery code is used up for nothing here.

    It would be right, and django-otp would still call the session one of a password alone.

    Raises: OnboardingIncomplete.
    """
    app = authenticators.active(participant)
    if app is not None and app.is_held:
        raise OnboardingIncomplete(_("Your authenticator app is on hold until the staff release it."))


def _participant(user: Any) -> Participant:
    """Return who the user is in the campaign: one at most. Raises: OnboardingIncomplete where that is nobody."""
    rows = Participant.objects.select_related("campaign").filter(erased_at=None, campaign=campaign())
    participant = rows.filter(user=user).first()
    if participant is None:
        raise OnboardingIncomplete(_("You are not registered for signing in here. Ask the staff."))
    return participant


def storefront() -> Storefront:
    """Return the storefront whose sign-in this is. Raises: ImproperlyConfigured."""
    row = Storefront.objects.filter(name=conf.login_storefront, is_active=True).first()
    if row is None:
        raise ImproperlyConfigured("TWOFA_LOGIN_STOREFRONT is not the name of an active storefront.")
    return row


def campaign() -> Campaign:
    """Return the campaign in which whoever signs in is a participant. Raises: ImproperlyConfigured.

    Not a refusal like any other: who reads that they are not registered asks staff who cannot know better.
    """
    row = Campaign.objects.filter(slug=conf.login_campaign, storefronts=storefront()).first()
    if row is None:
        raise ImproperlyConfigured(
            "TWOFA_LOGIN_CAMPAIGN is not the slug of a campaign that the storefront of TWOFA_LOGIN_STOREFRONT serves."
        )
    return row


def _actor(participant: Participant) -> Actor:
    return Actor(ActorKind.PARTICIPANT, participant.external_id)


def waiting(half: Half) -> tuple[Any, Challenge] | None:
    """Return who waits for a token, and the challenge; or None where there is nothing to wait for any more."""
    user, challenge = half.person(), _waiting(half)
    if user is None or challenge is None or challenge.participant is None or challenge.participant.user_id != user.pk:
        return None
    return user, challenge


def _waiting(half: Half) -> Challenge | None:
    try:
        challenge = challenges.get(half.challenge_id, storefront=storefront())
    except NotFound:
        return None
    is_open = not challenge.is_final and challenge.purpose == Purpose.LOGIN
    return challenge if is_open else None


@sensitive_variables()
def finish(request: HttpRequest, half: Half, token: object) -> None:
    """Let in whoever has the right token: a new session, verified in the sense of django-otp.

    Raises: as :func:`challenges.verify`; ChallengeClosed where the half, or its challenge, has ended;
    OnboardingIncomplete where the app that was asked is held by now.
    """
    user, challenge = _held(half)
    person = _of(challenge)
    if challenge.is_unbound:
        _ensure_verifiable(person)
    verified = challenges.verify(challenge.pk, storefront=storefront(), token=token, actor=_actor(person))
    # A right token is known again for a day, for a storefront that lost an answer. Here it opens one session: where
    # sessions are cookies, the half of a sign-in can be brought back with its cookie.
    device = verified.device or authenticators.active(person)
    if verified.ended_at != verified.read_at or device is None or device.user_id != user.pk:
        raise ChallengeClosed
    halves.end(request)
    auth.login(request, user, backend=half.backend)
    django_otp.login(request, device)


def resend(half: Half, channel: str | None = None) -> None:
    """Send a new token, by a channel where the person chose one in place of their app.

    Raises: as :func:`challenges.resend`; ChallengeClosed where the half has ended.
    """
    challenge = _held(half)[1]
    challenges.resend(challenge.pk, storefront=storefront(), actor=_actor(_of(challenge)), channel=channel)


def other_ways(challenge: Challenge) -> list[Device]:
    """Return the contacts that a message may go to in place of the app's code: one on each channel."""
    if not challenge.is_unbound:
        return []
    contacts, at = destinations.devices_of(_of(challenge))
    policy: Any = {"campaign": challenge.campaign, "at": at, "allowed_channels": challenge.allowed_channels}
    return destinations.next_contacts(contacts, **policy, event=issuing.message_of(challenge.purpose), tried=())


def takes_recovery_codes(challenge: Challenge) -> bool:
    """Tell whether the person has a recovery code left, which answers in the place of the token."""
    return recovery_codes.left(_of(challenge)) > 0


def cancel(request: HttpRequest) -> None:
    """Forget half a sign-in, and end its challenge: its token opens nothing any more.

    A half that has ended itself ends no challenge: another browser of the person, who has given the password of today,
    may be about to answer it.
    """
    half = halves.find(request)
    found = waiting(half) if half is not None else None
    halves.end(request)
    if found is not None:
        # What has ended meanwhile needs no end.
        with suppress(TwoFactorError):
            challenge = found[1]
            challenges.cancel(challenge.pk, storefront=storefront(), actor=_actor(_of(challenge)))


def _held(half: Half) -> tuple[Any, Challenge]:
    found = waiting(half)
    if found is None:
        raise ChallengeClosed
    return found


def _of(challenge: Challenge) -> Participant:
    if challenge.participant is None:  # none that stands in the table of logins: a constraint says so
        raise NotFound
    return challenge.participant
