"""The ledger in the admin: to read. Points move by transfers, and transfers by the ledger alone."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import formats
from django.utils.translation import gettext_lazy as _

from example_project.loyalty.models import Account, Transfer

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Shows rows, and offers nothing else."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


def in_unit(amount: Decimal, unit: str) -> str:
    """Return an amount as it is read, with what it counts."""
    return f"{formats.number_format(amount, 2, use_l10n=True, force_grouping=True)} {unit}"


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("participant", "campaign", "kind", "shown_balance")
    fields = ("participant", "campaign", "kind", "shown_balance")
    readonly_fields = ("shown_balance",)
    list_filter = ("campaign", "kind")
    list_select_related = ("campaign", "participant")
    search_fields = ("participant__external_id", "participant__name")

    @admin.display(description=_("balance"), ordering="balance")
    def shown_balance(self, account: Account) -> str:
        """A campaign's accounts keep none: what they hold is the sum of their transfers."""
        return "—" if account.balance is None else in_unit(account.balance, account.campaign.unit)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "shown_amount", "source", "target", "key")
    fields = ("created_at", "kind", "shown_amount", "source", "target", "key")
    readonly_fields = ("shown_amount",)
    list_filter = ("kind",)
    list_select_related = (
        "source__campaign",
        "source__participant",
        "target__campaign",
        "target__participant",
    )
    search_fields = ("key", "source__participant__external_id", "target__participant__external_id")
    date_hierarchy = "created_at"

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, transfer: Transfer) -> str:
        return in_unit(transfer.amount, transfer.source.campaign.unit)
