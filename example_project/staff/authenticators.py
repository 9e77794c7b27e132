"""Authenticator apps of staff: invited, enrolled, asked.

An invitation is an unconfirmed device. Who holds its link **and** knows the password gives the device a new secret,
sees it once as a QR code, and confirms it with a code. Neither alone does anything: with the password alone a thief
would enrol an app of their own wherever none is yet, and with the link alone whoever reads somebody's mail would. The
secret is made after the password was given, so that a link that was read by others has not shown it to them.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

LINK_LIFE = timedelta(hours=24)
PROOF_LIFE = timedelta(minutes=10)
MAX_FAILURES = 5
"""Wrong passwords and codes that an invitation survives."""
WRONG_CODE = _(
    "That code is not right, is too old, or came too soon after a wrong one. Wait a moment and type the next one."
)
"""django-otp looks at no code for a second after a wrong one, for two after the second, and so on."""
_LINK, _PROOF = "example.staff.invitation", "example.staff.proof"


def verify(user: AbstractBaseUser, code: str) -> TOTPDevice | None:
    """Return the user's authenticator that shows this code, or None.

    Under a lock and never twice for one code (RFC 6238, 5.2); each wrong one doubles the time until the next is looked
    at. That is counted only after the right password, so nobody locks out a colleague whose password they do not know.
    """
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
        return device if device is not None and device.verify_token(code) else None


def invite(user: AbstractBaseUser) -> TOTPDevice:
    """Make an invitation; those before it end. An authenticator that works does so until another one is confirmed."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        # The name tells this invitation from the next one, should the database give out its number again.
        return TOTPDevice.objects.create(user=user, name=str(uuid4()), confirmed=False)


def link_token(invitation: TOTPDevice) -> str:
    """Return what the link of an invitation ends with."""
    return signing.dumps([invitation.pk, invitation.name], salt=_LINK)


def invited(token: str) -> TOTPDevice | None:
    """Return the invitation that a link leads to, or None where it is over, used up, or none of ours."""
    try:
        pk, name = signing.loads(token, salt=_LINK, max_age=LINK_LIFE)
    except (signing.BadSignature, TypeError, ValueError):
        return None
    rows = TOTPDevice.objects.select_related("user").filter(user__is_active=True, user__is_staff=True)
    rows = rows.filter(throttling_failure_count__lt=MAX_FAILURES)
    return rows.filter(pk=pk, name=name, confirmed=False).first()


def begin(invitation: TOTPDevice, password: str) -> str | None:
    """Give the invitation a new secret, and return the proof that the password was right; None where it is wrong."""
    with transaction.atomic():
        locked = _locked(invitation)
        if locked is None:
            return None
        if not locked.user.check_password(password):
            locked.throttle_increment()
            return None
        locked.throttle_reset(commit=False)
        locked.key = default_key()
        locked.save()
    invitation.key = locked.key
    return signing.dumps([locked.pk, _digest(locked)], salt=_PROOF)


def proven(invitation: TOTPDevice, proof: str) -> bool:
    """Tell whether ``proof`` is that of this invitation's present secret, and young enough."""
    try:
        pk, digest = signing.loads(proof, salt=_PROOF, max_age=PROOF_LIFE)
    except (signing.BadSignature, TypeError, ValueError):
        return False
    return pk == invitation.pk and constant_time_compare(digest, _digest(invitation))


def confirm(invitation: TOTPDevice, code: str) -> bool:
    """Make it the user's one authenticator, where ``code`` is right; those before it stop working."""
    with transaction.atomic():
        locked = _locked(invitation)
        if locked is None or not locked.verify_token(code):
            return False
        locked.confirmed, locked.name = True, "authenticator"
        locked.save(update_fields=["confirmed", "name"])
        TOTPDevice.objects.filter(user=locked.user_id).exclude(pk=locked.pk).delete()
    return True


def equip(user: AbstractBaseUser) -> TOTPDevice:
    """Return the user's authenticator, made without any phone where there is none: for demos alone."""
    device, _made = TOTPDevice.objects.get_or_create(user=user, confirmed=True, defaults={"name": "authenticator"})
    return device


def current_code(device: TOTPDevice) -> tuple[str, float]:
    """Return the next code that ``device`` takes, and how many seconds to wait before it does.

    For development, in place of a phone: whoever can call this reads the database.
    """
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    totp.time = time.time()
    step = max(totp.t(), device.last_t + 1)
    wait = max(0.0, (step - device.drift - device.tolerance) * device.step + device.t0 - totp.time)
    totp.time = (step - device.drift) * device.step + device.t0
    return f"{totp.token():0{device.digits}d}", wait


def _locked(invitation: TOTPDevice) -> Any:
    rows = TOTPDevice.objects.select_for_update(of=("self",)).select_related("user")
    rows = rows.filter(throttling_failure_count__lt=MAX_FAILURES)
    return rows.filter(pk=invitation.pk, name=invitation.name, confirmed=False).first()


def _digest(device: TOTPDevice) -> str:
    return salted_hmac(_PROOF, device.key, algorithm="sha256").hexdigest()
