"""The campaign's form: the policy in plain words, and what the model refuses told beside its field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from twofa import delivery
from twofa.admin.fields import CountriesField, DaysHoursField, MinutesSecondsField, OrderedChoiceField
from twofa.admin.vocabulary import DOCUMENTS
from twofa.admin.words import duration
from twofa.models import POLICY_FIELDS, Campaign, Channel, Method, TwoFactorMode

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def help_texts() -> dict[str, StrOrPromise]:
    """Return what each number means, with its hard cap."""
    return {
        "two_factor_mode": _("Checkouts opened from now on follow it. Open ones keep the rule they began with."),
        "allowed_channels": _("Tried in this order when a message fails."),
        "links_in_messages": _(
            "The link “it was not me” is in every e-mail. In an SMS it teaches people to follow links."
        ),
        "token_length": _("Characters. At least 6 digits, or 4 letters and digits; at most 12."),
        "token_ttl": _("From the hand-off to the provider. At least 1 minute, at most %(most)s.")
        % {"most": duration(Campaign.token_ttl_limit())},
        "max_attempts": _("Wrong tokens until the redemption is rejected. At most %(most)d.")
        % {"most": Campaign.max_attempts_limit()},
        "max_resends": _("How often the participant may ask for another token. At most 10."),
        "resend_cooldown": _("Between two messages that the participant asks for."),
        "redemption_ttl": _("After this a redemption that nobody confirmed expires, and its points are given back."),
        "max_open_challenges": _("How many may wait for one participant at the same time."),
        "failed_attempts_per_day": _("Of one participant in 24 hours, over all redemptions."),
        "sends_per_destination_per_day": _("In 24 hours, to one phone number or e-mail address."),
        "sends_per_participant_per_day": _("In 24 hours, to all devices of one participant."),
        "sends_per_campaign_per_day": _("In 24 hours. Empty: no limit."),
        "sends_per_prefix_per_day": _(
            "In 24 hours, to numbers that differ in their last four digits only. Empty: no limit."
        ),
        "sms_per_day": _("In 24 hours. Then tokens go by the next channel. Empty: no limit."),
        "unbound_devices_approve": _(
            "The code of such an app is bound to no order: whoever reads one may use it for any. Off: participants who "
            "chose an app get the token of an order by message."
        ),
        "identity_required": _(
            "A redemption waits until the participant has sent the documents below and staff have approved them."
        ),
        "required_documents": _("By itself any picture of the document will do; with a side, only that side."),
        "device_cooling_off": _(
            "How long a further device waits until tokens are sent to it. Never for the first one."
        ),
        "completion_mode": _("When the points leave, once the right token has come. A storefront may have its own."),
        "approver_threshold": _(
            "Compared as the threshold is. The token goes to somebody whom staff entitled to approve for the "
            "participant. Empty: only where the storefront names an approver."
        ),
    }


def channels() -> list[tuple[str, StrOrPromise]]:
    """Return the channels to choose from; one without a provider may be chosen, knowing that it carries nothing yet."""
    not_set_up = _("%(channel)s (not set up)")
    return [
        (alias, label if delivery.is_available(alias) else not_set_up % {"channel": label})
        for alias, label in Channel.choices
    ]


def form_field(column: models.Field[Any, Any]) -> forms.Field | None:
    """Return a friendlier input for a column, or None where Django's own will do."""
    given: dict[str, Any] = {"label": capfirst(str(column.verbose_name)), "help_text": column.help_text}
    # A new campaign's form starts from the defaults, as Django's own fields do.
    given["initial"] = column.default if column.has_default() else None
    if column.name == "allowed_channels":
        return OrderedChoiceField(choices=channels(), **given)
    if column.name == "default_method":
        # An app is set up by its owner: no new participant has one.
        methods = [(value, label) for value, label in Method.choices if value != Method.TOTP]
        return forms.ChoiceField(choices=methods, **given)
    if column.name == "allowed_countries":
        return CountriesField(required=False, **given)
    if column.name == "required_documents":
        return forms.MultipleChoiceField(
            choices=list(DOCUMENTS.items()), required=False, widget=forms.CheckboxSelectMultiple, **given
        )
    if column.name in ("schedule_max_ahead", "schedule_grace"):
        return DaysHoursField(**given)
    return MinutesSecondsField(**given) if isinstance(column, models.DurationField) else None


class CampaignForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything that staff may set on a campaign; which of it this member may, the admin decides."""

    class Meta:
        model = Campaign
        fields = ("slug", "name", "test", *POLICY_FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, text in help_texts().items():
            if name in self.fields:
                self.fields[name].help_text = text
        documents = self.fields.get("required_documents")
        if isinstance(documents, forms.MultipleChoiceField):
            documents.choices = [*DOCUMENTS.items(), *_unlisted(self.instance.required_documents)]

    def add_error(self, field: str | None, error: Any) -> None:
        """Tell of a column that this member may not edit at the top of the page: ``Campaign.clean`` judges them all.

        One fault is told once: where Django's own check of a column and the policy's both found it, by the policy's.
        """
        found = getattr(error, "error_dict", None)
        if field is None and found is not None:
            shown: dict[str, list[ValidationError]] = {}
            for name, errors in found.items():
                if name in self.fields:
                    shown[name] = errors[-1:]
                else:
                    shown.setdefault(NON_FIELD_ERRORS, []).extend(errors)
            error = ValidationError(shown)
        super().add_error(field, error)


class ModeForm(forms.Form):
    """The toggle: one choice, made on the policy that the page showed."""

    two_factor_mode = forms.ChoiceField(label=_("Two-factor"), choices=TwoFactorMode.choices, widget=forms.RadioSelect)
    policy_version = forms.IntegerField(widget=forms.HiddenInput)


def _unlisted(stored: Any) -> list[tuple[str, str]]:
    return [(str(item), str(item)) for item in stored or [] if item not in DOCUMENTS]
