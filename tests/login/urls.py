"""The host's URLs, with a sign-in, two pages behind a second factor, and one that asks for a user alone."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import View
from django.views.generic import RedirectView
from django_otp.admin import OTPAdminSite
from django_otp.decorators import otp_required

from twofa.contrib.login.mixins import TwoFactorRequiredMixin


def inside(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"inside {request.user.get_username()}")


class Inside(TwoFactorRequiredMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return inside(request)


admin.site.__class__ = OTPAdminSite
urlpatterns = [
    path("api/v1/", include("twofa.urls")),
    path("accounts/", include("twofa.contrib.login.urls")),
    path("inside/", otp_required(inside)),
    path("inside/class/", Inside.as_view()),
    path("user/", login_required(inside)),
    path("admin/login/", RedirectView.as_view(pattern_name="twofa_login:login", query_string=True)),
    path("admin/", admin.site.urls),
]
