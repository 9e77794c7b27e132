"""The phone: what the development channels delivered."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse

from example_project import phone
from example_project.shop.visits import Visit, page

_SHOWN = 50


@page(public=True)
def show_phone(visit: Visit) -> HttpResponse:
    """Show what the development channels wrote, newest first."""
    messages = phone.read_messages(settings.PHONE_DIRECTORY)[:_SHOWN]
    return visit.render("example/phone.html", {"here": "phone", "messages": messages})
