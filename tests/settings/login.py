"""A host whose own login asks for a token."""

from __future__ import annotations

from tests.settings.base import *  # noqa: F403
from tests.settings.base import DATABASES, INSTALLED_APPS, MIDDLEWARE, overrides

DATABASES["default"] |= {"TEST": {"NAME": "test_twofa_login"}, "ATOMIC_REQUESTS": True}
INSTALLED_APPS += ["twofa.contrib.login"]
MIDDLEWARE += ["django_otp.middleware.OTPMiddleware"]
ROOT_URLCONF = "tests.login.urls"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/inside/"
TWOFA_LOGIN_STOREFRONT = "Website"
TWOFA_LOGIN_CAMPAIGN = "miles"

globals().update(overrides())
