"""URLs of the example: the shop, the API that it calls, the admin, and the phone."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from example_project import health, pages
from example_project.shop.urls import by_method
from example_project.shop.views import front, webhooks
from example_project.staff.pages import enroll

urlpatterns = [
    path("", front.show_front, name="home"),
    path("", include("example_project.shop.urls")),
    path("api/v1/", include("twofa.urls")),
    path("admin/", admin.site.urls),
    path("staff/enroll/<str:token>/", enroll, name="enroll"),
    path("health/", health.show_ready, name="health"),
    path("health/live/", health.show_live, name="health-live"),
    path("i18n/", include("django.conf.urls.i18n")),
]
if settings.DEBUG:
    # Messages with tokens in them: this page does not exist outside of development.
    urlpatterns.append(path("phone/", pages.show_phone, name="phone"))
    # Whoever knows of it sees what happens to everybody's orders.
    told = by_method(webhooks.show_webhooks, webhooks.receive)
    # Whoever sends one has no session that could be borrowed, but a signature.
    urlpatterns.append(path("webhooks/", csrf_exempt(told), name="webhooks"))

handler403 = pages.show_forbidden
handler404 = pages.show_nothing
