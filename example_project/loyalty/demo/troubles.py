"""Two chapters of the story: a provider that fails, and a token that nobody asked for."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from example_project.loyalty.demo import company, seed
from example_project.loyalty.demo.client import PREFIX
from example_project.loyalty.demo.failure import DemoFailed, expect
from twofa.models import Case, Channel, Device

if TYPE_CHECKING:
    from example_project.loyalty.demo.story import Story

_CHALLENGE = "two_factor.challenge"
_WAY = tuple(f"{_CHALLENGE}.{name}" for name in ("channel", "token_sequence", "delivery"))
_LINK = re.compile(r"http://\S+/not-me/\S+")
_PATIENCE = 20.0


def fail_over(story: Story) -> None:
    """The SMS provider answers 500; the API says so, and then by which way the token went."""
    story.terminal.say(
        _("The demo's SMS provider answers 500 for Nina's number. At each moment the API says how far it is.")
    )
    order = story.order_of(Decimal("1200.00"), participant=seed.UNREACHED)
    opened = story.checkout(seed.GUARDED, order, show=("id", "status", *_WAY))
    story.redemption = opened.body["id"]
    path = f"/redemptions/{story.redemption}/"
    _wait_for(story, path, "provider_unavailable")
    story.client.call("GET", path, expect=200, show=_WAY)
    story.terminal.say(_("Tried again in vain: now a new token goes by the next channel that she has."))
    token = story.receive(_("Nina"), channel=Channel.WHATSAPP)
    _wait_for(story, path, None)
    told = story.client.call("GET", path, expect=200, show=_WAY).body["two_factor"]["challenge"]
    way = (told["channel"], told["token_sequence"], told["delivery"]["status"])
    expect(way, ("whatsapp", 2, "sent"), _("what the API says of the way"))
    done = story.confirm_with(token, 200, show=("id", "status"))
    expect(done.body["status"], "completed", _("the redemption"))


def _wait_for(story: Story, path: str, reason: str | None) -> None:
    """Wait until the message stands as it should: given back by its provider, or sent. Raises: DemoFailed."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        delivery = story.client.exchange("GET", PREFIX + path, None, {}).body["two_factor"]["challenge"]["delivery"]
        if delivery["reason"] == reason and delivery["status"] == ("sent" if reason is None else "queued"):
            return
        time.sleep(0.1)
    raise DemoFailed(_("The message does not stand as it should: %(delivery)s.") % {"delivery": delivery})


def report(story: Story) -> None:
    """Somebody in Lucas's session orders. Marta presses the link of her message, and it is over."""
    story.terminal.say(_("Somebody sits at Lucas's open session. Marta knows of nothing, and follows the link."))
    order = story.order_of(Decimal("9500.00"), participant=company.BUYER)
    opened = story.checkout(company.SLUG, order, show=("id", "status", "approver"))
    found = _LINK.search(story.receive_message(_("Marta"), channel=Channel.EMAIL).text)
    if found is None:
        raise DemoFailed(_("The message has no link."))
    page = urlsplit(found[0]).path
    for method, status in (("GET", 200), ("POST", 303)):
        story.terminal.request(method, re.sub(r"[^/]+/[^/]+/$", "…/…/", page), None, {})
        answer = story.client.exchange(method, page, None, {})
        story.terminal.answer(answer.status, None, {})
        expect(answer.status, status, _("the page of the link"))
    path = f"/redemptions/{opened.body['id']}/"
    rejected = story.client.call("GET", path, expect=200, show=("id", "status", f"{_CHALLENGE}.status"))
    expect(rejected.body["status"], "rejected", _("the redemption"))
    held = Device.objects.exclude(held_at=None).values_list("participant__external_id", flat=True)
    expect(list(held), [company.DIRECTOR], _("whose device is held"))
    cases = Case.objects.filter(status=Case.Status.OPEN).count()
    expect(cases, 1, _("open cases"))
    story.terminal.line()
    story.terminal.fact(_("Whose address is held, until staff have spoken with her"), _("Marta"))
    story.terminal.fact(_("Cases for staff"), cases)
    story.show_points(company.SLUG, company.BUYER, available="173350.50", reserved="0.00")
