"""Webhooks of the programme: taken, verified, and shown. In development only: the page is nobody's in particular."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from example_project.shop import journal
from example_project.shop.visits import Visit, page

_SHOWN = 50
_LARGEST = 64 * 1024


@page(public=True)
def show_webhooks(visit: Visit) -> HttpResponse:
    """Show what came, newest first, and what was made of it."""
    context = {"entries": journal.entries()[:_SHOWN], "is_connected": bool(journal.secret()), "here": "webhooks"}
    return visit.render("example/webhooks.html", context)


def receive(request: HttpRequest) -> HttpResponse:
    """Take one. What is not signed is refused; what is known already is taken, and changes nothing."""
    body = request.body
    if len(body) > _LARGEST:
        return HttpResponse(status=413)
    entry = journal.take(body, request.headers)
    return HttpResponse(status=401 if entry.verdict == journal.REFUSED else 204)
