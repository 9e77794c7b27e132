"""URLs of a host whose admin is the example's: every model that the suite's own admin knows, behind both factors."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

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
