"""Half a sign-in: what the session keeps between the password and the token.

Who gave the password, when, and which challenge waits: neither the password nor a token, nor anything made of them but
the hash by which Django itself ends sessions when a password changes (CVE-2020-15105: a password that waited in the
session was there for whoever could read the table of sessions). Half a sign-in is nobody's session: ``request.user``
stays who it was, so a page that asks for a user, and no more, is as closed as before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import load_backend
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from twofa.models.clock import now

KEY = "twofa_login"
LIFE = timedelta(minutes=10)
"""OWASP ASVS 5.0, 6.6.2 and 6.6.3: what waits for a second factor ends, and is of no use elsewhere."""


@dataclass(frozen=True)
class Half:
    """One half of a sign-in. ``seal`` is Django's hash of the password that was right."""

    user: str
    backend: str
    seal: str
    begun_at: str
    challenge: str

    @property
    def challenge_id(self) -> UUID:
        """Return the id of the challenge that waits."""
        return UUID(self.challenge)

    def person(self) -> Any:
        """Return the user, if all that was true at the password is true still; or None.

        In time, known to their backend, active, and with the password that was given: whoever changes a password
        because somebody knows it, ends what that somebody has begun.
        """
        age = now() - datetime.fromisoformat(self.begun_at)
        if not timedelta(0) <= age < LIFE:
            return None
        user: Any = load_backend(self.backend).get_user(self.user)
        if user is None or not user.is_active or not constant_time_compare(user.get_session_auth_hash(), self.seal):
            return None
        return user


def begin(request: HttpRequest, user: Any, challenge: UUID) -> None:
    """Keep half a sign-in, under a new key of the session: one that somebody else chose leads to nothing of it."""
    half = Half(
        user=user._meta.pk.value_to_string(user),
        backend=user.backend,
        seal=user.get_session_auth_hash(),
        begun_at=now().isoformat(),
        challenge=str(challenge),
    )
    request.session.cycle_key()
    request.session[KEY] = asdict(half)


def find(request: HttpRequest) -> Half | None:
    """Return the half that the session keeps, whatever became of it."""
    kept = request.session.get(KEY)
    return Half(**kept) if kept else None


def end(request: HttpRequest) -> None:
    """Forget it."""
    request.session.pop(KEY, None)


def is_of_no_session(request: HttpRequest) -> bool:
    """Tell whether another request has ended the whole session meanwhile, as one does that signs its owner in.

    Saved later, by the middleware, it would be an error of Django's (``SessionInterrupted``), on a page that nobody
    understands. So it is saved here, and not again; a session that is a cookie marks itself to be sent in any case.
    """
    request.session.modified = False
    try:
        request.session.save()
    except UpdateError:
        return True
    return False
