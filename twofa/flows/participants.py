"""Participants: enroll and update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from stdnum.br import cnpj, cpf

from twofa.exceptions import Invalid, NotFound, OnboardingIncomplete, TwoFactorError
from twofa.flows import (
    accounts,
    authenticators,
    challenges,
    contact_verifications,
    destinations,
    devices,
    methods,
    onboarding,
    registrations,
)
from twofa.flows.accounts import Account
from twofa.flows.history import Actor, Trail
from twofa.flows.next_actions import NextAction
from twofa.flows.registrations import Proof
from twofa.models import Campaign, Challenge, Method, Participant, Storefront
from twofa.models.clock import now
from twofa.models.ids import uuid7
from twofa.models.participant import spelled

_DECLARED = frozenset({"name", "document_number"})
"""What staff compare with the pictures: an approval is for these, and ends with them."""


@sensitive_variables()
def create_user(
    *,
    campaign: Campaign,
    external_id: str,
    name: str,
    locale: str,
    username: str | None = None,
    password: str | None = None,
) -> AbstractBaseUser:
    """Make the user of a new participant. The default of ``TWOFA_USER_RESOLVER``.

    One that cannot log in, where no ``username`` and ``password`` are given. Raises: Invalid where the name is taken.
    """
    model: Any = get_user_model()
    column = model._meta.get_field(model.USERNAME_FIELD)
    handle = f"twofa-{uuid7().hex}"
    generated = f"{handle}@users.invalid" if isinstance(column, models.EmailField) else handle
    user: AbstractBaseUser = model(
        **{column.name: generated if username is None else model.normalize_username(username)}
    )
    taken = Invalid.field("username", "not_unique", _("Somebody has this name already."))
    if username is not None and model._default_manager.filter(**{column.name: user.get_username()}).exists():
        raise taken
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        # Somebody took it while the password was hashed. Not chained: the driver's error has the name in it.
        if username is not None:
            raise taken from None
        raise
    return user


def enroll(
    *,
    campaign: Campaign,
    external_id: str,
    actor: Actor,
    name: str | None = None,
    document_number: str | None = None,
    locale: str | None = None,
    account: Account | None = None,
) -> tuple[Participant, bool]:
    """Create or update a participant, and tell which; what is None keeps its value. ``account`` is of a new one.

    Raises: Invalid; NotFound where the id is the pseudonym of one who was erased; Unavailable.
    """
    if account is not None:
        accounts.ensure_acceptable(account)
    given = {"name": name, "document_number": _document_number(document_number), "locale": locale}
    changes = {column: value for column, value in given.items() if value is not None}
    try:
        return _enroll(campaign, external_id, actor, changes, account)
    except IntegrityError:
        # Somebody enrolled the same participant a moment ago, or holds the document number or the name: look again,
        # and tell.
        _ensure_free_document(campaign, external_id, changes)
        return _enroll(campaign, external_id, actor, changes, account)


def _enroll(
    campaign: Campaign, external_id: str, actor: Actor, changes: dict[str, str], account: Account | None = None
) -> tuple[Participant, bool]:
    with transaction.atomic():
        participant = _locked(campaign, external_id)
        _ensure_free_document(campaign, external_id, changes)
        if participant is None:
            return _create(campaign, external_id, actor, changes, account), True
        participant.ensure_kept()
        accounts.ensure_new(account)
        _change(participant, actor, changes)
    return participant, False


def register(
    *,
    campaign: Campaign,
    external_id: str,
    storefront: Storefront,
    actor: Actor,
    proof: Proof,
    name: str | None = None,
    document_number: str | None = None,
    locale: str | None = None,
    account: Account | None = None,
) -> tuple[Participant, bool]:
    """Create a participant with a contact that a verification proved, and tell whether they are new.

    Where the same verification made the same participant before, the request is repeated and changes what it gives.

    Raises: Invalid, NotFound, PurposeMismatch, ChallengeClosed, TransactionChanged, TokenMalformed, TokenInvalid,
    TokenSuperseded, TokenExpired, AttemptsExhausted, FailedAttemptsBudget, NotActive, Unavailable.
    """
    if account is not None:
        accounts.ensure_acceptable(account)
    given = {"name": name, "document_number": _document_number(document_number), "locale": locale}
    changes = {column: value for column, value in given.items() if value is not None}
    asked = _Registration(campaign, external_id, storefront, actor, proof, changes, account)
    try:
        participant, error, is_new = _register(asked)
    except IntegrityError:
        # As of anybody enrolled: but the right token is as it was before, because all of it was rolled back.
        _ensure_free_document(campaign, external_id, changes)
        participant, error, is_new = _register(asked)
    if participant is None:
        raise error or NotFound
    return participant, is_new


@dataclass(frozen=True)
class _Registration:
    """One call: who shall be a participant, by which proof."""

    campaign: Campaign
    external_id: str
    storefront: Storefront
    actor: Actor
    proof: Proof
    columns: dict[str, str]
    account: Account | None


def _register(asked: _Registration) -> tuple[Participant | None, TwoFactorError | None, bool]:
    """Judge the token and create the participant, or change one whom the same proof created, in one transaction.

    The charge of a wrong token is committed with its verdict, which is a value for that; nobody is created then.
    """
    with transaction.atomic(durable=True):
        known = _locked(asked.campaign, asked.external_id)
        challenge = registrations.find(asked.proof, storefront=asked.storefront, campaign=asked.campaign)
        if known is not None:
            # Whoever created them with this proof repeats the request. Its token is not looked at: it gives nothing.
            if challenge.participant_id != known.pk:
                raise registrations.not_new()
            return _enroll(asked.campaign, asked.external_id, asked.actor, asked.columns)[0], None, False
        _ensure_named(asked.columns)
        _ensure_free_document(asked.campaign, asked.external_id, asked.columns)
        challenge = challenges.locked(challenge)
        if _is_theirs(challenge, asked.external_id):
            return challenge.participant, None, False
        standing = contact_verifications.standing(challenge)
        trail = Trail(asked.actor, standing.at)
        error = registrations.judge(challenge, asked.proof.token, standing=standing, trail=trail)
        trail.write()
        if error is not None:
            return None, error, False
        participant = _create(asked.campaign, asked.external_id, asked.actor, asked.columns, asked.account)
        registrations.hand_over(challenge, participant, trail)
        trail.write()
    return participant, None, True


def _is_theirs(challenge: Challenge, external_id: str) -> bool:
    """Tell whether the same request came twice at once, and the other one was first."""
    return challenge.participant is not None and challenge.participant.external_id == external_id


def _create(
    campaign: Campaign, external_id: str, actor: Actor, columns: dict[str, str], account: Account | None
) -> Participant:
    _ensure_named(columns)
    locale = columns.get("locale", "")
    user = accounts.resolve(campaign, external_id, name=columns["name"], locale=locale, account=account)
    if Participant.objects.filter(campaign=campaign, user=user).exists():
        raise Invalid.field("external_id", "user_taken", _("The user is another participant of the campaign already."))
    participant = Participant(
        campaign=campaign,
        user=user,
        external_id=external_id,
        # Stamped once: a new default touches new participants only.
        two_factor_method=campaign.default_method,
        **columns,
    )
    participant.save(force_insert=True)
    trail = Trail(actor, now())
    trail.add("participant.enrolled", participant, two_factor_method=participant.two_factor_method)
    trail.write()
    return participant


def _locked(campaign: Campaign, external_id: str) -> Participant | None:
    rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
    return rows.filter(campaign=campaign, external_id=external_id).first()


def _ensure_named(columns: dict[str, str]) -> None:
    if "name" not in columns:
        raise Invalid.field("name", "required", _("A new participant needs a name."))


def _change(participant: Participant, actor: Actor, changes: dict[str, str]) -> None:
    changed = [column for column, value in changes.items() if getattr(participant, column) != value]
    if not changed:
        return
    for column in changed:
        setattr(participant, column, changes[column])
    participant.save(update_fields=[*changed, "updated_at"])
    trail = Trail(actor, now())
    # Names of columns, not their values: the audit trail keeps no second copy of personal data.
    trail.add("participant.updated", participant, columns=changed)
    if "two_factor_method" in changed:
        # Whether a device is asked for depends on it.
        onboarding.note(participant, trail)
    if _DECLARED & set(changed):
        # Staff compared the pictures with what was declared then.
        onboarding.void(participant, trail, reason="details_changed")
        onboarding.note(participant, trail)
    trail.write()


def update(
    participant: Participant,
    *,
    storefront: Storefront,
    actor: Actor,
    name: str | None = None,
    locale: str | None = None,
    two_factor_method: str | None = None,
) -> tuple[Participant, Challenge | None]:
    """Change a participant. Switching two-factor off needs a token from the current device: its challenge is returned.

    Raises: NotFound, NotActive, OnboardingIncomplete, ResendCooldown, SendBudget, FailedAttemptsBudget.
    """
    given = {"name": name, "locale": locale}
    with transaction.atomic():
        rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
        locked = rows.get(pk=participant.pk)
        locked.ensure_kept()
        authorization = None
        if two_factor_method is not None and two_factor_method != locked.two_factor_method:
            authorization = _change_method(locked, two_factor_method, storefront, actor)
        _change(locked, actor, {column: value for column, value in given.items() if value is not None})
    return locked, authorization


def _change_method(participant: Participant, method: str, storefront: Storefront, actor: Actor) -> Challenge | None:
    active, _read_at = destinations.devices_of(participant)
    if method == Method.NONE:
        if not active and authenticators.active(participant) is not None:
            # There is no contact to ask. Whoever holds a session must not take the last factor away all the same.
            raise OnboardingIncomplete(
                _("Only an authenticator app stands for this participant: revoke it first."),
                missing=["device"],
                next_action=NextAction("onboarding"),
            )
        if active:
            return devices.ask_authorization(
                participant, active, active[0], Challenge.Action.SWITCH_OFF, storefront=storefront, actor=actor
            )
    elif not methods.is_to_be_had(participant, active, method):
        raise methods.lacking()
    _change(participant, actor, {"two_factor_method": method})
    return None


def _document_number(value: str | None) -> str | None:
    """Return the one spelling of a document number; a CPF or CNPJ is checked by its digits. Raises: Invalid."""
    if value is None:
        return None
    number = spelled(value)
    checked = {11: cpf, 14: cnpj}.get(len(number)) if number.isascii() and number.isdigit() else None
    # One digit eleven times has right check digits, and belongs to nobody.
    if checked is not None and (len(set(number)) == 1 or not checked.is_valid(number)):
        raise Invalid.field("document_number", "invalid_document", _("The check digits of this CPF or CNPJ are wrong."))
    return number


def _ensure_free_document(campaign: Campaign, external_id: str, changes: dict[str, str]) -> None:
    number = changes.get("document_number")
    if not number:
        return
    others = Participant.objects.with_document(campaign.pk, number).exclude(external_id=external_id)
    if others.exists():
        raise Invalid.field(
            "document_number", "not_unique", _("Another participant of the campaign has this document number.")
        )
