"""Login grants: the token that registered somebody lets them log in once more, within its life."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa.models.challenge import Challenge
from twofa.models.participant import Participant


class LoginGrant(models.Model):
    """The contact verification of a new participant, as the token of their first login.

    The token itself is on no row: the challenge recognises it by its keyed digest, and counts the wrong ones.
    """

    challenge = models.OneToOneField(
        Challenge, models.CASCADE, primary_key=True, related_name="login_grant", verbose_name=_("challenge")
    )
    participant = models.ForeignKey(
        Participant, models.CASCADE, related_name="login_grants", verbose_name=_("participant")
    )
    expires_at = models.DateTimeField(_("expires at"))
    used_at = models.DateTimeField(_("used at"), null=True)

    class Meta:
        verbose_name = _("login grant")
        verbose_name_plural = _("login grants")

    def __str__(self) -> str:
        return str(self.pk)
