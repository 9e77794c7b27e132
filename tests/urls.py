"""The host's URLs: the API at a prefix, and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("twofa.urls")),
    path("admin/", admin.site.urls),
]
