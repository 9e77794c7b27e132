"""The app: what Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TwofaConfig(AppConfig):
    name = "twofa"
    verbose_name = _("Two-factor")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Here and not above: these modules load models, which exist only now.
        from twofa import checks, tasks  # noqa: F401, PLC0415
        from twofa.flows import device_logins  # noqa: PLC0415
        from twofa.models import Authenticator, Device  # noqa: PLC0415

        Device.answers = device_logins
        Authenticator.answers = device_logins
