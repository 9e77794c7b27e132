"""Pages off the shop's and the admin's way: the phone, and what to say where there is nothing, or no right to it."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from example_project import phone
from example_project.shop.visits import Visit, page

_SHOWN = 50


@page(public=True)
def show_phone(visit: Visit) -> HttpResponse:
    """Show what the development channels wrote, newest first."""
    messages = phone.read_messages(settings.PHONE_DIRECTORY)[:_SHOWN]
    return visit.render("example/phone.html", {"here": "phone", "messages": messages})


def show_nothing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that nothing is at this address."""
    return _answer(request, "404.html", 404)


def show_forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that this account has no right to the page."""
    return _answer(request, "403.html", 403)


def show_stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form came without its CSRF token, which is most often one of a session that has ended."""
    return _answer(request, "403_csrf.html", 403)


def _answer(request: HttpRequest, template: str, status: int) -> HttpResponse:
    """Answer in the frame that the visitor is in, with the way back of that frame."""
    if request.path.startswith(reverse("admin:index")):
        return render(request, f"staff/{template}", admin.site.each_context(request), status=status)
    return Visit.of(request).render(template, status=status)


class NothingHereMiddleware:
    """For development, where Django would answer with a list of all addresses, in nobody's frame."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        unresolved = response.status_code == 404 and request.resolver_match is None
        return show_nothing(request, Http404()) if unresolved else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer what a view calls not there."""
        return show_nothing(request, exception) if isinstance(exception, Http404) else None
