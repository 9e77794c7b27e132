"""The sandbox: what participants of test campaigns would have received, rendered when it is looked at.

Nothing with a token in it is stored for this page. A message can be read while its challenge is open and its token is
the present one; after that the seed is gone, and nobody can make the text again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db.models import F, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from twofa.admin import words
from twofa.channels import DeliveryError, Message
from twofa.delivery import compose
from twofa.models import Challenge, Delivery
from twofa.models.clock import Clock

if TYPE_CHECKING:
    from twofa.admin.base import TwofaAdmin

LATEST = 50


def readable() -> QuerySet[Delivery]:
    """Return the messages that may be shown: of campaigns made for tests, handed over, and still worth something.

    A redemption carries ``test`` of the moment it was opened: marking a campaign afterwards shows nothing of it.
    """
    open_challenge = Q(
        challenge__status=Challenge.Status.PENDING,
        challenge__deadline__gt=Clock(),
        challenge__generation=F("generation"),
    )
    opened_as_test = Q(challenge__redemption__isnull=True) | Q(challenge__redemption__test=True)
    rows = Delivery.objects.filter(
        open_challenge,
        opened_as_test,
        campaign__test=True,
        status__in=(Delivery.Status.SENT, Delivery.Status.DELIVERED),
    )
    related = (
        "challenge__campaign",
        "challenge__participant",
        "challenge__redemption",
        "challenge__batch",
        "challenge__subject",
        "campaign",
        "participant",
    )
    own_texts = Prefetch("campaign__message_templates", to_attr="known_templates")
    return rows.select_related(*related).prefetch_related(own_texts).order_by("-pk")[:LATEST]


def page(model_admin: TwofaAdmin, request: HttpRequest) -> HttpResponse:
    """Render the page. Raises: PermissionDenied."""
    if not request.user.has_perm("twofa.view_delivery"):
        raise PermissionDenied
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Sandbox"),
        "opts": model_admin.opts,
        "letters": [_letter(delivery) for delivery in readable()],
        "media": model_admin.media,
        "back": model_admin.page("changelist"),
    }
    # Never stored by a browser or a proxy: every page of the admin says so (``admin_view``).
    return TemplateResponse(request, "twofa/admin/sandbox.html", context)


def _letter(delivery: Delivery) -> tuple[Delivery, Message | None, str]:
    """Return a delivery with its message, or with why there is none: its key left the ring, its template is broken."""
    try:
        return delivery, compose(delivery), ""
    except DeliveryError as error:
        return delivery, None, words.reason(error.reason)
