"""What is masked everywhere else, shown on one page: the answer to a POST, which nothing stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from twofa.admin.base import TwofaAdmin


def page(
    model_admin: TwofaAdmin, request: HttpRequest, row: Any, *, title: StrOrPromise, label: StrOrPromise, text: str
) -> HttpResponse:
    """Show ``text``, in this answer alone: no address holds it, no message, no session, and no cache keeps it."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "original": row,
        "label": label,
        "text": text,
        "media": model_admin.media,
        "back": model_admin.page("change", row.pk),
    }
    response = TemplateResponse(request, "twofa/admin/disclosed.html", context)
    # Every page of the admin says so as well (``admin_view``); here it must not depend on the site.
    response["Cache-Control"] = "no-store, private"
    return response
