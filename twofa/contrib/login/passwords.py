"""The first step's guesses: a name has as many wrong passwords in an hour as in the API's login, and the same row."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.contrib.login import signing_in
from twofa.contrib.login.sentences import told
from twofa.exceptions import Throttled
from twofa.flows import login_budgets


def counted(form_class: type[AuthenticationForm]) -> type[AuthenticationForm]:
    """Return a form like this one, a host's own among them, that looks at so many passwords of a name and no more."""
    return cast(type[AuthenticationForm], type(form_class.__name__, (_Counted, form_class), {}))


class _Counted(forms.Form):
    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Charge the name before the backends are asked; forget its wrong passwords after the right one.

        By the name as the form has cleaned it: with spaces before it, it would have a budget of its own.
        """
        name, password = (self.cleaned_data.get(field) for field in ("username", "password"))
        if not name or not password:
            return super().clean() or self.cleaned_data
        try:
            budget = login_budgets.charge(name, storefront=signing_in.storefront(), campaign=signing_in.campaign())
        except Throttled as error:
            too_many = _("Too many wrong passwords were given for this name.")
            raise ValidationError(format_lazy("{} {}", too_many, told(error)), code=error.code) from None
        try:
            cleaned = super().clean() or self.cleaned_data
        except ValidationError:
            raise
        except Exception:
            login_budgets.take_back(budget)
            raise
        login_budgets.clear(budget)
        return cleaned
