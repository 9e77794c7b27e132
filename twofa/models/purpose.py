"""What challenges are for, and the families of purposes that share a budget."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

STEP_UP = "step_up:"
STEP_UP_PATTERN = r"step_up:[a-z0-9_-]{1,50}"

AGREEMENTS = {
    f"{STEP_UP}authenticator_add": _("New authenticator app"),
    f"{STEP_UP}authenticator_remove": _("Remove the authenticator app"),
    f"{STEP_UP}recovery_codes": _("New recovery codes"),
    f"{STEP_UP}device_add": _("New phone or e-mail address"),
}
"""Step-ups by which a factor agrees to a change of factors, and what their message says they are."""


class Purpose(models.TextChoices):
    """What a challenge is for. A storefront's own are ``step_up:<name>``."""

    REDEMPTION = "redemption", _("redemption")
    BATCH = "batch", _("batch of redemptions")
    DEVICE = "device", _("change of devices")
    LOGIN = "login", _("login")
    CONTACT = "contact", _("contact verification")


class Family(models.TextChoices):
    """Purposes that have their budgets of wrong tokens and of open challenges in common.

    One budget for all would be a lock that anybody turns: whoever mistypes at a till would lock the login, and whoever
    knows a password would stop every purchase.
    """

    ORDERS = "orders", _("orders")
    ACCESS = "access", _("logins and contact verifications")
    DEVICES = "devices", _("changes of devices")
    STEP_UP = "step_up", _("step-ups")


_MEMBERS: dict[str, tuple[str, ...]] = {
    Family.ORDERS: (Purpose.REDEMPTION, Purpose.BATCH),
    Family.ACCESS: (Purpose.LOGIN, Purpose.CONTACT),
    Family.DEVICES: (Purpose.DEVICE,),
}
DIGESTS_OF_ORDERS = _MEMBERS[Family.ORDERS]
"""What these approve is an order. The digest of any other is over what one can find by trying all there is."""


def family_of(purpose: str) -> Family:
    """Return the family of a purpose."""
    return next((Family(family) for family, purposes in _MEMBERS.items() if purpose in purposes), Family.STEP_UP)


def in_family(family: str) -> Q:
    """Return the condition of challenges whose purpose is of a family."""
    purposes = _MEMBERS.get(family)
    return Q(purpose__startswith=STEP_UP) if purposes is None else Q(purpose__in=purposes)


def family_sql(column: str) -> str:
    """Return the SQL of the family of a purpose that stands in ``column``."""
    cases = " ".join(
        f"WHEN {column} IN ({', '.join(repr(str(purpose)) for purpose in purposes)}) THEN '{family}'"
        for family, purposes in _MEMBERS.items()
    )
    return f"CASE {cases} ELSE '{Family.STEP_UP.value}' END"
