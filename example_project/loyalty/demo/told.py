"""A chapter of the story: what the storefront was told meanwhile, and what it does not believe."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from example_project.loyalty.demo.failure import DemoFailed, expect
from example_project.shop import journal

if TYPE_CHECKING:
    from example_project.loyalty.demo.story import Story

_RECEIVER = "/webhooks/"
_PATIENCE = 20.0
_SHOWN = 4


def hear(story: Story) -> None:
    """Each change was told to the shop by a signed webhook; one that nobody signed is refused."""
    story.terminal.say(
        _("All the while the shop was told of every change, by webhooks that it verified before it read them.")
    )
    _wait_for(f"A-{story.order}")
    for entry in reversed(journal.entries()[:_SHOWN]):
        story.terminal.line(f"      {entry.type.ljust(22)} {entry.order_id.ljust(8)} {entry.verdict}")
    story.terminal.say(_("Somebody who knows the address writes one of their own."))
    forged = {"type": "redemption.completed", "data": {"id": story.redemption, "version": 99}}
    headers = {"webhook-id": "msg_forged", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
    story.terminal.request("POST", _RECEIVER, forged, headers)
    answer = story.client.exchange("POST", _RECEIVER, forged, headers)
    story.terminal.answer(answer.status, None, {})
    expect(answer.status, 401, _("the forged webhook"))
    verdicts = Counter(entry.verdict for entry in journal.entries())
    expect(verdicts[journal.REFUSED], 1, _("refused webhooks"))
    story.terminal.line()
    story.terminal.fact(_("Webhooks verified"), verdicts[journal.ACCEPTED])
    story.terminal.fact(_("Dropped, because a newer version had come before"), verdicts[journal.OUTDATED])
    story.terminal.fact(_("Refused"), verdicts[journal.REFUSED])


def _wait_for(order_id: str) -> None:
    """Wait until the shop knows how an order ended. Raises: DemoFailed."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        known = {entry.status for entry in journal.entries() if entry.order_id == order_id}
        if "rejected" in known:
            return
        time.sleep(0.1)
    raise DemoFailed(_("The shop was not told of the end of %(order)s.") % {"order": order_id})
