"""The form of the second step."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from twofa.models import Challenge, TokenAlphabet


class TokenInput(forms.TextInput):
    """Shows no token again, as a password is not: what was refused is in no page, and is not in the way of the next."""

    def format_value(self, value: Any) -> None:
        return None


class TokenForm(forms.Form):
    """Asks for the token of a message, or the code of an app. Phones offer it above their keyboard (``one-time-code``).

    Where a recovery code is taken as well, phones show letters.
    """

    token = forms.CharField(
        label=_("Token"),
        max_length=64,
        error_messages={"required": _("Type the token of the message.")},
        widget=TokenInput(
            attrs={
                "autocomplete": "one-time-code",
                "autocapitalize": "characters",
                "autocorrect": "off",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )

    def __init__(self, *args: Any, challenge: Challenge, takes_recovery_codes: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        if challenge.is_unbound:
            self.fields["token"].label = _("Code")
            self.fields["token"].error_messages["required"] = _("Type the code that your app shows.")
        is_numeric = challenge.token_alphabet == TokenAlphabet.NUMERIC and not takes_recovery_codes
        self.fields["token"].widget.attrs["inputmode"] = "numeric" if is_numeric else "text"
