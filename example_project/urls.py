"""URLs of the example: the API, the admin, and two pages so that nothing is a dead end."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from example_project import pages

urlpatterns = [
    path("", pages.show_home, name="home"),
    path("api/v1/", include("twofa.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
]
if settings.DEBUG:
    # Messages with tokens in them: this page does not exist outside of development.
    urlpatterns.append(path("phone/", pages.show_phone, name="phone"))
