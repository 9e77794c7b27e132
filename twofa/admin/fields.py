"""Friendly inputs for what the database keeps as a duration or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import phonenumbers
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

NO_CHOICE = ("", "—")


def named(label: Any, part: Any) -> dict[str, str]:
    """Return how an input is read out: by its field's name as well, because a page has several of a kind."""
    return {"aria-label": f"{label}: {part}" if label else str(part)}


class MinutesSecondsWidget(forms.MultiWidget):
    """Two number boxes, each with its unit beside it."""

    template_name = "twofa/admin/widgets/minutes_seconds.html"

    def __init__(self, label: Any = "", attrs: dict[str, Any] | None = None) -> None:
        number = {"min": 0, "inputmode": "numeric", "class": "twofa-number"}
        widgets: dict[str, forms.Widget | type[forms.Widget]] = {
            "minutes": forms.NumberInput({**number, **named(label, _("minutes"))}),
            "seconds": forms.NumberInput({**number, **named(label, _("seconds"))}),
        }
        super().__init__(widgets, attrs)

    def decompress(self, value: Any) -> list[int | None]:
        if not isinstance(value, timedelta):
            return [None, None]
        return list(divmod(int(value.total_seconds()), 60))


class MinutesSecondsField(forms.MultiValueField):
    """A duration as minutes and seconds; more than 59 seconds are taken as they are meant."""

    def __init__(self, **kwargs: Any) -> None:
        number: dict[str, Any] = {"min_value": 0, "max_value": 10**6, "required": False}
        parts = (forms.IntegerField(**number), forms.IntegerField(**number))
        widget = MinutesSecondsWidget(kwargs.get("label"))
        super().__init__(parts, require_all_fields=False, widget=widget, **kwargs)

    def compress(self, data_list: Sequence[int | None]) -> timedelta | None:
        if not data_list or all(part is None for part in data_list):
            return None
        minutes, seconds = data_list
        return timedelta(minutes=minutes or 0, seconds=seconds or 0)


class DaysHoursWidget(forms.MultiWidget):
    """The same for what takes longer."""

    template_name = "twofa/admin/widgets/days_hours.html"

    def __init__(self, label: Any = "", attrs: dict[str, Any] | None = None) -> None:
        number = {"min": 0, "inputmode": "numeric", "class": "twofa-number"}
        widgets: dict[str, forms.Widget | type[forms.Widget]] = {
            "days": forms.NumberInput({**number, **named(label, _("days"))}),
            "hours": forms.NumberInput({**number, **named(label, _("hours"))}),
            "minutes": forms.NumberInput({**number, **named(label, _("minutes"))}),
        }
        super().__init__(widgets, attrs)

    def decompress(self, value: Any) -> list[int | None]:
        if not isinstance(value, timedelta):
            return [None, None, None]
        hours, minutes = divmod(int(value.total_seconds()) // 60, 60)
        return [*divmod(hours, 24), minutes]


class DaysHoursField(forms.MultiValueField):
    """A duration as days, hours and minutes."""

    def __init__(self, **kwargs: Any) -> None:
        number: dict[str, Any] = {"min_value": 0, "max_value": 10**4, "required": False}
        parts = tuple(forms.IntegerField(**number) for _part in range(3))
        super().__init__(parts, require_all_fields=False, widget=DaysHoursWidget(kwargs.get("label")), **kwargs)

    def compress(self, data_list: Sequence[int | None]) -> timedelta | None:
        if not data_list or all(part is None for part in data_list):
            return None
        days, hours, minutes = data_list
        return timedelta(days=days or 0, hours=hours or 0, minutes=minutes or 0)


class OrderedChoiceWidget(forms.MultiWidget):
    """One drop-down for each place, first to last."""

    template_name = "twofa/admin/widgets/ordered_choice.html"

    def __init__(
        self, choices: Sequence[tuple[str, Any]], label: Any = "", attrs: dict[str, Any] | None = None
    ) -> None:
        selects = [
            forms.Select(named(label, _("place %(number)d") % {"number": number}), choices=[NO_CHOICE, *choices])
            for number, _choice in enumerate(choices, 1)
        ]
        super().__init__(selects, attrs)

    def decompress(self, value: Any) -> list[Any]:
        return list(value or [])


class OrderedChoiceField(forms.MultiValueField):
    """Some of the choices, each once, in an order that means something."""

    def __init__(self, *, choices: Iterable[tuple[str, Any]], **kwargs: Any) -> None:
        listed = list(choices)
        parts = [forms.ChoiceField(choices=[NO_CHOICE, *listed], required=False) for _choice in listed]
        widget = OrderedChoiceWidget(listed, kwargs.get("label"))
        super().__init__(parts, require_all_fields=False, widget=widget, **kwargs)

    def compress(self, data_list: Sequence[str]) -> list[str]:
        chosen = [value for value in data_list if value]
        if len(set(chosen)) != len(chosen):
            raise ValidationError(_("Name each channel once."))
        return chosen

    def has_changed(self, initial: Any, data: Any) -> bool:
        # Django compares place by place and stops at the end of the shorter list: an added choice would be no change.
        return list(initial or []) != [value for value in data or [] if value]


class CountriesField(forms.CharField):
    """Countries by their two-letter codes, with commas or spaces between them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.TextInput({"class": "vTextField", "placeholder": "BR, AR, PT"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        codes = list(dict.fromkeys(str(value or "").upper().replace(",", " ").split()))
        unknown = [code for code in codes if code not in phonenumbers.SUPPORTED_REGIONS]
        if unknown:
            raise ValidationError(_("Not a country's code: %(codes)s.") % {"codes": ", ".join(unknown)})
        return codes

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(list(initial or []) != self.to_python(data))
        except ValidationError:
            return True
