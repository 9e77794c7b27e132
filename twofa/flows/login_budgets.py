"""Wrong passwords, counted in the database by storefront and name, so that guessing has an end.

A name that nobody has is counted like any other: a limit that only known names have tells which names are known. And it
is counted apart from tokens, so that whoever does not know the password uses up no attempt of a challenge.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F
from django.views.decorators.debug import sensitive_variables

from twofa import alerts, tokens
from twofa.alerts import Alert
from twofa.exceptions import Throttled
from twofa.models import Campaign, LoginBudget, Storefront
from twofa.models.clock import now

MOST_FAILURES = 20
WINDOW = timedelta(hours=1)
"""About 480 guesses a day, against passwords that Django's validators let pass; and whoever is locked out by somebody
else's guesses waits for an hour, not for staff."""


@sensitive_variables()
def charge(username: str, *, storefront: Storefront, campaign: Campaign) -> LoginBudget:
    """Count a password before it is looked at, and return the row to :func:`clear` where it was right.

    Before: a hundred guesses at once find as many places as there are, and not a hundred (OWASP ASVS 15.4.2).
    Raises: Throttled.
    """
    with transaction.atomic(durable=True):
        at = now()
        key = {"storefront": storefront, "username_hash": _hashed(username)}
        # Written where it is not there, read in any case: a name that was never tried costs what every other one does,
        # so that no count of statements tells which names have logged in (OWASP ASVS 6.3.8).
        LoginBudget.objects.bulk_create([LoginBudget(**key, since=at)], ignore_conflicts=True)
        row = LoginBudget.objects.select_for_update(no_key=True).get(**key)
        row.charged_at = at
        if at - row.since >= WINDOW:
            row.failures, row.since = 0, at
        wait = row.since + WINDOW - at
        is_spent = row.failures >= MOST_FAILURES
        if not is_spent:
            row.failures += 1
            row.save(update_fields=["failures", "since"])
    if is_spent:
        alerts.sound(Alert.BUDGET_REFUSED, budget="wrong_passwords", campaign=campaign.pk, participant=None)
        raise Throttled(math.ceil(wait.total_seconds()))
    return row


def clear(row: LoginBudget) -> None:
    """Forget the wrong passwords of a name: the right one was given."""
    # Not deleted: whoever waits for its lock would find none to count on.
    LoginBudget.objects.filter(pk=row.pk).update(failures=0)


def take_back(row: LoginBudget) -> None:
    """Count a password no more that nobody has judged: what fails on the host's side locks no member out."""
    LoginBudget.objects.filter(pk=row.pk, failures__gt=0).update(failures=F("failures") - 1)


def forget(at: datetime) -> int:
    """Delete what no longer counts; return how many rows."""
    return LoginBudget.objects.filter(since__lte=at - WINDOW).delete()[0]


def _hashed(username: str) -> bytes:
    """Return one digest for all spellings that a backend of the host's could take for the same name."""
    name = get_user_model().normalize_username(username).casefold()
    return tokens.fingerprint("username", name, kid=tokens.issuing_kid())
