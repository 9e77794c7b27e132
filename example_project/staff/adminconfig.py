"""``django.contrib.admin`` with a site of ours. Not in ``apps.py``: there Django would find two apps in one module."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """Makes ``admin.site`` ours: every app that registers its models does so there, and no other site is mounted."""

    default_site = "example_project.staff.site.StaffAdminSite"
