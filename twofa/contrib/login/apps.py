"""The app: what Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LoginConfig(AppConfig):
    name = "twofa.contrib.login"
    label = "twofa_login"
    verbose_name = _("Two-factor: sign-in")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Here and not above: it loads models, which exist only now.
        from twofa.contrib.login import checks  # noqa: F401, PLC0415
