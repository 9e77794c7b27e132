"""For class-based views: what ``otp_required`` is for functions."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views import View
from django_otp.decorators import otp_required


class TwoFactorRequiredMixin(View):
    """Lets nobody in without a second factor: a session of a password alone is sent to the sign-in. Put it first."""

    login_url: str | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        guarded = otp_required(super().dispatch, login_url=self.login_url)
        response: HttpResponseBase = guarded(request, *args, **kwargs)
        return response
