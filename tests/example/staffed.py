"""URLs of a host whose admin is the example's: every model that the suite's own admin knows, behind both factors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.test import Client
from django.urls import include, path
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff import authenticators
from example_project.staff.pages import enroll
from example_project.staff.site import StaffAdminSite

site = StaffAdminSite()
for model, registered in admin.site._registry.items():
    site.register(model, type(registered))

urlpatterns = [
    path("admin/", site.urls),
    path("staff/enroll/<str:token>/", enroll, name="enroll"),
    path("api/v1/", include("twofa.urls")),
]


PASSWORD = "a password of the tests"


def code_of(device: TOTPDevice) -> str:
    """The next code that the admin takes."""
    device.refresh_from_db()
    return authenticators.current_code(device)[0]


def sign_in(client: Client, **fields: str) -> Any:
    """Post the login's form."""
    return client.post("/admin/login/?next=/admin/", {"username": "boss", "password": PASSWORD, **fields})


def is_in(client: Client) -> bool:
    """Whether the admin opens."""
    return client.get("/admin/").status_code == 200
