"""Access tokens of participants: listed, and revoked where somebody's app must not call any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.admin.actions import FlowAction
from twofa.admin.base import ReadOnlyAdmin
from twofa.admin.lists import SomeRelatedFilter
from twofa.admin.sections import ENDED, GOOD, badge, moment
from twofa.flows import access_tokens
from twofa.models import AccessToken
from twofa.models.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_stubs_ext import StrOrPromise


def use(token: AccessToken) -> Sequence[tuple[StrOrPromise, object]]:
    """Return whose token it is, and when it was used."""
    return (
        (_("Participant"), token.participant),
        (_("Storefront"), token.storefront),
        (_("Last used"), moment(token.last_used_at)),
    )


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    """What may be known of an access token: its prefix, and when it was used. Neither its text nor its hash."""

    list_display = ("__str__", "state", "participant", "storefront", "created_at", "last_used_at", "expires_at")
    list_filter = (("storefront", SomeRelatedFilter),)
    list_select_related = ("participant", "storefront")
    linked_lookups = ("participant",)
    search_fields = ("prefix__exact", "participant__external_id__exact")
    search_help_text = _("The twelve characters of a token after “twofa_at_”, or an external id, exactly.")
    sortable_by = ()
    ordering = ("-pk",)
    fields = (
        "prefix",
        "state",
        "participant",
        "storefront",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    flow_actions = (
        FlowAction(
            name="revoke",
            label=_("Revoke the access token"),
            permissions=("twofa.view_accesstoken", "twofa.change_accesstoken"),
            explanation=_(
                "From the next request on it opens nothing: the participant's app asks for the password again. It "
                "cannot be taken back."
            ),
            done=_("The access token was revoked."),
            run=access_tokens.revoke,
            offered=lambda token: token.revoked_at is None,
            facts=use,
            is_destructive=True,
        ),
    )

    @admin.display(description=_("status"))
    def state(self, token: Any) -> str:
        """Show whether it opens anything, by the database's clock."""
        if token.is_live(token.clock):
            return badge(GOOD, pgettext_lazy("access token", "live"))
        revoked, expired = pgettext_lazy("access token", "revoked"), pgettext_lazy("access token", "expired")
        return badge(ENDED, revoked if token.revoked_at is not None else expired)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(clock=Clock())
