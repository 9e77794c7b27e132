"""The staff's pages, as a member of staff finds them: by their links."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from django.test import Client

from tests.admin.sites import is_one_of_many

_LINK = re.compile(r'href="([^"#?]+)')
_ROW = re.compile(r"/(\d+|[0-9a-f]{8}-[0-9a-f-]{27})/")

DJANGOS = (
    # Links in the breadcrumbs differ from the words between them by a shade. Our pages keep Django's looks.
    ("link-in-text-block", ".breadcrumbs"),
    # "12 total" beside the search field, and in the line that ends a filter.
    ("link-in-text-block", "#toolbar .small, #changelist-search"),
    # The search field of lists is named by its title, and by a picture without words.
    ("label-title-only", "#searchbar"),
    # The help of both boxes from which a storefront's campaigns are chosen.
    ("aria-prohibited-attr", ".selector .help-tooltip"),
)
"""What Django's own templates and scripts make, by axe's rule and the markup; no template of ours could change it."""


def pages_of(client: Client, model: str) -> dict[str, str]:
    """Return a model's pages by address: its list, and all that links lead to from there, one of each kind."""
    start = f"/admin/twofa/{model}/"
    kinds: set[str] = set()
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        address = waiting.pop(0)
        if is_one_of_many(address) or _ROW.sub("/row/", address) in kinds:
            continue
        kinds.add(_ROW.sub("/row/", address))
        response = client.get(address)
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            found[address] = response.content.decode()
            links = map(html.unescape, _LINK.findall(found[address]))
            waiting += [link for link in links if link.startswith(start)]
    return found


def made_by_us(addresses: Iterable[str]) -> list[str]:
    """Leave out what Django makes alone: the history of its own log, the same for each model."""
    return [address for address in addresses if not address.endswith("/history/")]
