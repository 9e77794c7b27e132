"""What staff type: username, password and code at once; and, while they enrol, the password and then a code."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from example_project.staff import authenticators

# ASCII digits alone: int(), which django-otp reads codes with, takes other scripts, signs and underscores as well.
_CODE = re.compile(r"[0-9]{6}\Z")


class CodeInput(forms.PasswordInput):
    """Visible while it is typed, and empty when the page comes back: the next code is another one."""

    input_type = "text"


class CodeField(forms.CharField):
    """Six digits, as an authenticator shows them: in groups or not."""

    default_error_messages = {"malformed": _("Type the six digits that the app shows.")}

    def __init__(self) -> None:
        attributes = {"inputmode": "numeric", "autocomplete": "one-time-code", "maxlength": "9"}
        super().__init__(label=_("Code of your authenticator app"), widget=CodeInput(attrs=attributes))

    def to_python(self, value: object) -> str:
        return "".join(str(super().to_python(value) or "").split())

    def validate(self, value: Any) -> None:
        super().validate(value)
        if not _CODE.match(value):
            raise ValidationError(self.error_messages["malformed"], code="malformed")


class StaffLoginForm(AdminAuthenticationForm):
    """All three together, with one refusal for whatever is wrong.

    The form of django-otp asks for the code once the password was right: it says so to whoever guesses passwords, and
    sends the password back in the page. It also offers every device of the user, a participant's phone among them.
    """

    code = CodeField()
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": _(
            "That username, password and code do not open the admin together. Each code works once; "
            "after wrong ones, wait a minute."
        ),
    }

    def clean(self) -> dict[str, Any]:
        # What Django asks here is the password, and whether the user is active and staff.
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        if user is not None:
            device = authenticators.verify(user, cleaned["code"]) if "code" in cleaned else None
            if device is None:
                self.user_cache = None
                raise self.get_invalid_login_error()
            # Read by django-otp when Django's own view logs the user in.
            user.otp_device = device  # type: ignore[attr-defined]
        return cleaned


class PasswordForm(forms.Form):
    """The first step of enrolling."""

    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class CodeForm(forms.Form):
    """The second: a code of the app that has read the QR code. ``proof`` says that the first step was taken."""

    code = CodeField()
    proof = forms.CharField(widget=forms.HiddenInput)
