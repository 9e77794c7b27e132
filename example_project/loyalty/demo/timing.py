"""Two chapters of the story: confirmed now, to be booked later or cancelled until then; and booked by the sweeper."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from example_project.loyalty.demo import seed
from example_project.loyalty.demo.client import PREFIX
from example_project.loyalty.demo.failure import DemoFailed, expect

if TYPE_CHECKING:
    from example_project.loyalty.demo.story import Story

_AHEAD = timedelta(seconds=5)
_PATIENCE = 30.0
_SHOWN = ("id", "status", "scheduled_for", "next_action")


def schedule(story: Story) -> None:
    """One is to be booked in five seconds, and is left alone; another, of tomorrow, is cancelled."""
    story.terminal.say(_("Ana confirms now what is to be booked in five seconds. Its points are set aside at once."))
    story.scheduled = _confirmed(story, Decimal("1200.00"), _AHEAD)
    story.show_points(available="33800.00", reserved="1200.00")
    story.terminal.say(_("And one of tomorrow, which she cancels: its points come back."))
    later = _confirmed(story, Decimal("4800.00"), timedelta(days=1))
    path = f"/redemptions/{later}/cancel/"
    cancelled = story.client.call("POST", path, {}, expect=200, show=("id", "status"))
    expect(cancelled.body["status"], "cancelled", _("the redemption"))


def look_again(story: Story) -> None:
    """What was left alone has been booked meanwhile."""
    story.terminal.say(_("Nobody asks for the first one. The sweeper books it at its time."))
    path = f"/redemptions/{story.scheduled}/"
    _wait_until_booked(story, path)
    story.client.call("GET", path, expect=200, show=("id", "status", "scheduled_for", "completed_at"))
    story.show_points(available="33800.00", reserved="0.00")


def _confirmed(story: Story, amount: Decimal, ahead: timedelta) -> str:
    """Open a redemption for later, type its token, and return its id."""
    order = {**story.order_of(amount), "scheduled_for": (datetime.now(UTC) + ahead).isoformat(timespec="seconds")}
    opened = story.checkout(seed.GUARDED, order, show=("id", "status", "scheduled_for"))
    story.redemption = opened.body["id"]
    done = story.confirm_with(story.receive(), 200, show=_SHOWN)
    expect(done.body["status"], "scheduled", _("the redemption"))
    return story.redemption


def _wait_until_booked(story: Story, path: str) -> None:
    """Raises: DemoFailed where it is not booked."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        status = story.client.exchange("GET", PREFIX + path, None, {}).body["status"]
        if status != "scheduled":
            return expect(status, "completed", _("the redemption"))
        time.sleep(0.2)
    raise DemoFailed(_("It was not booked within %(seconds)d seconds.") % {"seconds": _PATIENCE})
