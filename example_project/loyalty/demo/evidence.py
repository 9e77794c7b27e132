"""What the demo looks up behind the API's back: ledger, audit trail, and the bytes of the database."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from django.db import connection
from django.utils.translation import gettext as _
from PIL import Image, UnidentifiedImageError

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


def pictures_at_rest(folder: Path) -> tuple[int, int]:
    """Return how many files lie in the storage of documents, and how many of them anything could open as a picture.

    Raises: DemoFailed where one could.
    """
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    found = [data for data in files if _is_picture(data)]
    expect(len(found), 0, _("pictures that lie open in the storage"))
    return len(files), len(found)


def _is_picture(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return bool(picture.format)
    except UnidentifiedImageError:
        return data.startswith(b"%PDF")


def looks(username: str) -> list[str]:
    """Return who looked at documents, look by look. Raises: DemoFailed where it was not ``username`` each time."""
    names = list(Event.objects.filter(type="document.viewed").order_by("pk").values_list("actor", flat=True))
    expect(set(names), {username}, _("who looked at documents"))
    return names


def tokens_left_behind(tokens: Iterable[str], answers: Iterable[str]) -> int:
    """Look for each token that was on the phone; return 0. Raises: DemoFailed where one is found."""
    name = Path(connection.settings_dict["NAME"])
    files = [path for path in name.parent.glob(f"{name.name}*") if path.is_file()]
    haystack = b"".join(path.read_bytes() for path in files) + "\n".join(answers).encode()
    found = [token for token in tokens if token.encode() in haystack]
    if found:
        raise DemoFailed(_("%(count)d tokens were found where none may be.") % {"count": len(found)})
    return 0
