"""Login budgets: how many wrong passwords a storefront has brought for one name."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from twofa.models.storefront import Storefront


class LoginBudget(models.Model):
    """Wrong passwords for one name, known or not, since the first of them. The name is a keyed digest."""

    storefront = models.ForeignKey(
        Storefront, models.CASCADE, db_index=False, related_name="login_budgets", verbose_name=_("storefront")
    )
    username_hash = models.BinaryField(_("hash of the name"), max_length=32, editable=False)
    failures = models.PositiveSmallIntegerField(_("wrong passwords"), default=0)
    since = models.DateTimeField(_("since"))

    # When the password was charged that is looked at now: no column.
    charged_at: datetime

    class Meta:
        verbose_name = _("login budget")
        verbose_name_plural = _("login budgets")
        indexes = [models.Index(fields=("since",), name="twofa_login_budget_since")]
        constraints = [models.UniqueConstraint(fields=("storefront", "username_hash"), name="twofa_login_budget_name")]

    def __str__(self) -> str:
        return str(self.pk)
