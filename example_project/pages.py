"""The example's own two pages: where to go from here, and the phone."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from example_project import phone

_SHOWN = 50


@require_safe
def show_home(request: HttpRequest) -> HttpResponse:
    """Show where to go from here."""
    return render(request, "example/home.html", {"debug_pages": settings.DEBUG})


@require_safe
@never_cache
def show_phone(request: HttpRequest) -> HttpResponse:
    """Show what the development channels wrote, newest first."""
    messages = phone.read_messages(settings.PHONE_DIRECTORY)[:_SHOWN]
    return render(request, "example/phone.html", {"page": "phone", "messages": messages})
