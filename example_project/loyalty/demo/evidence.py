"""What the demo looks up behind the API's back: ledger, audit trail, and the bytes of the database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from django.db import connection
from django.utils.translation import gettext as _

from example_project.loyalty import ledger
from example_project.loyalty.demo.failure import DemoFailed, expect
from example_project.loyalty.models import Transfer
from twofa.models import Event


def balanced_transfers() -> int:
    """Return how many transfers the ledger holds. Raises: DemoFailed where a balance is not their sum."""
    expect(ledger.discrepancies(), [], _("accounts whose balance is not the sum of their transfers"))
    return Transfer.objects.count()


def recorded_events() -> int:
    """Return how many events were recorded. Raises: DemoFailed where one has no correlation id."""
    expect(Event.objects.filter(correlation_id="").count(), 0, _("events without a correlation id"))
    return Event.objects.count()


def tokens_left_behind(tokens: Iterable[str], answers: Iterable[str]) -> int:
    """Look for each token that was on the phone; return 0. Raises: DemoFailed where one is found."""
    name = Path(connection.settings_dict["NAME"])
    files = [path for path in name.parent.glob(f"{name.name}*") if path.is_file()]
    haystack = b"".join(path.read_bytes() for path in files) + "\n".join(answers).encode()
    found = [token for token in tokens if token.encode() in haystack]
    if found:
        raise DemoFailed(_("%(count)d tokens were found where none may be.") % {"count": len(found)})
    return 0
