"""Which application calls as which storefront: linked here and unlinked here, by flows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from twofa.admin import words
from twofa.admin.actions import ConfirmForm, FlowAction, acting
from twofa.admin.base import TwofaAdmin
from twofa.admin.lists import SomeRelatedFilter
from twofa.admin.storefronts import ScopesField
from twofa.contrib.oauth2 import applications
from twofa.contrib.oauth2.models import StorefrontApplication


class LinkForm(ModelForm):  # type: ignore[type-arg]
    """Asks which application, as whom, and for what."""

    scopes = ScopesField()

    class Meta:
        model = StorefrontApplication
        fields = ("application", "storefront", "scopes")


@admin.register(StorefrontApplication)
class StorefrontApplicationAdmin(TwofaAdmin):
    """The tokens of an application open the API as the storefront that it is linked to."""

    form = LinkForm
    list_display = ("__str__", "storefront", "opens", "created")
    list_filter = (("storefront", SomeRelatedFilter),)
    list_select_related = ("application", "storefront")
    search_fields = ("application__client_id__exact", "application__name__exact")
    search_help_text = _("An application's client id or its name, exactly.")
    ordering = ("-pk",)
    fields = ("application", "storefront", "opens", "created")
    flow_actions = (
        FlowAction(
            name="unlink",
            label=_("Unlink the application"),
            permissions=(
                "twofa_oauth2.view_storefrontapplication",
                "twofa_oauth2.delete_storefrontapplication",
            ),
            explanation=_("From the next request on its tokens open nothing."),
            done=_("The application was unlinked."),
            run=applications.unlink,
            form=ConfirmForm,
            facts=lambda row: ((_("Storefront"), row.storefront),),
            is_destructive=True,
        ),
    )

    @admin.display(description=_("scopes"))
    def opens(self, row: StorefrontApplication) -> str:
        """Show for which parts of the API its tokens are taken."""
        return words.told("scopes", row.scopes)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ("application", "storefront", "scopes")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "application":
            options["queryset"] = get_application_model().objects.filter(twofa_link=None, **applications.FIT)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: StorefrontApplication, form: Any, change: bool) -> None:
        with acting(request) as actor:
            obj.pk = applications.link(actor=actor, **form.cleaned_data).pk

    def answer(self, request: HttpRequest, action: FlowAction, row: Any, outcome: object) -> HttpResponse:
        """Tell that it is done, on the list: the row's page is gone with it."""
        self.message_user(request, action.done)
        return HttpResponseRedirect(self.page("changelist"))
