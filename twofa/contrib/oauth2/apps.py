"""The app: what Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OAuth2Config(AppConfig):
    name = "twofa.contrib.oauth2"
    label = "twofa_oauth2"
    verbose_name = _("Two-factor: OAuth2")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Here and not above: it loads models, which exist only now.
        from twofa.contrib.oauth2 import checks  # noqa: F401, PLC0415
