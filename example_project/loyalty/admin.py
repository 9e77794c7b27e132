"""The ledger in the admin: to read. Points move by transfers, and transfers by the ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

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


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("participant", "campaign", "kind", "balance")
    list_filter = ("campaign", "kind")
    list_select_related = ("campaign", "participant")
    search_fields = ("participant__external_id", "participant__name")


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "amount", "source", "target", "key")
    list_filter = ("kind",)
    list_select_related = (
        "source__campaign",
        "source__participant",
        "target__campaign",
        "target__participant",
    )
    search_fields = ("key", "source__participant__external_id", "target__participant__external_id")
    date_hierarchy = "created_at"
