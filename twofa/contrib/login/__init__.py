"""Django's own login with a second factor: password, then a token, then a session that django-otp calls verified."""

from __future__ import annotations
