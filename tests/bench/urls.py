"""Ours, the floor and the reference, in one process; and the pages of staff."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from tests.bench import floor, otp

urlpatterns = [
    path("floor/redemptions/", floor.CheckoutView.as_view()),
    path("floor/redemptions/<int:pk>/confirm/", floor.ConfirmView.as_view()),
    path("otp/redemptions/", otp.CheckoutView.as_view()),
    path("otp/redemptions/<int:pk>/<str:participant>/confirm/", otp.ConfirmView.as_view()),
    path("api/v1/", include("twofa.urls")),
    path("admin/", admin.site.urls),
]
