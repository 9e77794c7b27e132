"""Which application of the OAuth2 server calls as which storefront."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from twofa.models import Storefront


class StorefrontApplication(models.Model):
    """An application whose tokens open the API, as one storefront.

    Staff say so: an application that anybody registered opens nothing by itself. And they say for which scopes: the
    server gives a token whatever scopes its client asks for, so what the token names is no limit that staff have set.
    """

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="twofa_link", verbose_name=_("application")
    )
    storefront = models.ForeignKey(Storefront, models.CASCADE, related_name="+", verbose_name=_("storefront"))
    scopes = models.JSONField(_("scopes"), default=list, db_default=[], blank=True, help_text=_("None named: all."))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("application of a storefront")
        verbose_name_plural = _("applications of storefronts")
        ordering = ("-pk",)

    def __str__(self) -> str:
        return str(self.application)
