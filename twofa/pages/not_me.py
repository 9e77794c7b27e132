"""The page behind the link "it was not me".

The link itself is the credential: it holds a seal that only we can make, and whoever has it has the message. So there
is no session and no cookie, and nothing that a forged request of another site could borrow, which is what a CSRF token
would be for: whoever can name this address can press the button as well. GET changes nothing, because mail scanners
and previews follow every link; the button does, and they do not press it.

The address must not get out: no referrer is sent, nothing is stored, indexed or framed, and nothing is loaded from
elsewhere. The page says what the message said, and no more.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.db import transaction  # noqa: TID251 - only to stay out of the transactions of the host
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from twofa import contents, wording
from twofa.conf import conf
from twofa.exceptions import NotFound
from twofa.flows import denials
from twofa.flows.denials import Denial
from twofa.models import Participant, spoken

HEADERS = {
    "Cache-Control": "no-store, private",
    # An allow-list of our own stylesheet and of the page's own form: whatever a text from outside smuggled in is inert.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # No other site lays the button under one of its own.
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
STYLE_LIFE = "public, max-age=3600"
_LONGEST_NAME = 150
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


# Whatever ATOMIC_REQUESTS says: the flow owns its transaction, and what is done after its commit.
@method_decorator((transaction.non_atomic_requests, csrf_exempt), name="dispatch")
class NotMePage(View):
    """Says what will happen, and does it when the button is pressed."""

    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except NotFound:
            response = _gone(request)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    def get(self, request: HttpRequest, challenge_id: str, seal: str) -> HttpResponse:
        """Show what the link is about, and what became of it."""
        denial = denials.look(_parsed(challenge_id), seal)
        language = _language_of(denial.challenge.participant)
        with translation.override(language):
            return _page("not_me.html", language, _context(denial, language))

    def post(self, request: HttpRequest, challenge_id: str, seal: str) -> HttpResponse:
        """Stop it, and show the page again: reloading it then asks for nothing."""
        denials.deny(_parsed(challenge_id), seal)
        response = HttpResponse(status=303)
        # The same address without naming it, which is right behind every prefix that a gateway takes off or puts on.
        response["Location"] = "./"
        return response


class StylePage(View):
    """The stylesheet of the pages: a template, so that a host may put its own in its place."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        response = HttpResponse(render_to_string("twofa/pages/style.css"), content_type="text/css")
        response["Cache-Control"] = STYLE_LIFE
        response["X-Content-Type-Options"] = "nosniff"
        return response


def _parsed(text: str) -> UUID:
    if not _UUID.match(text):
        raise NotFound
    return UUID(text)


def _context(denial: Denial, language: str) -> dict[str, Any]:
    challenge = denial.challenge
    redemption, batch = challenge.redemption, challenge.batch
    return {
        "campaign": wording.plain(challenge.campaign.name, limit=_LONGEST_NAME),
        "destination": denial.sent_to.destination,
        "purpose": challenge.purpose,
        "is_reported": denial.is_reported,
        "is_too_late": denial.is_too_late,
        "is_over": denial.is_over,
        "is_redemption": redemption is not None,
        **({} if redemption is None else contents.about_redemption(redemption, language)),
        **({} if batch is None else contents.about_batch(batch, challenge, language)),
    }


def _language_of(participant: Participant | None) -> str:
    return spoken((participant.locale if participant is not None else "") or conf.language_code)


def _gone(request: HttpRequest) -> HttpResponse:
    """Return the page of a link that is none of ours, or too old: nobody's, so in the language of the browser."""
    language = spoken(translation.get_language_from_request(request))
    with translation.override(language):
        return _page("gone.html", language, {}, status=404)


def _page(name: str, language: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    # Without the request: no processor of the host's looks for a session here, or sets a cookie.
    html = render_to_string(f"twofa/pages/{name}", {**context, "locale": language})
    response = HttpResponse(html, status=status)
    response["Content-Language"] = language
    return response
