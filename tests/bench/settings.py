"""The host that ``startproject`` makes: its middleware, and a database connection for each request.

``TWOFA_BENCH_BARE`` leaves out both, for a floor that is as low as Django goes. All contestants are served by the same
processes under the same settings, so whatever is in here counts for each.
"""

from __future__ import annotations

import os

from tests.settings.base import *  # noqa: F403
from tests.settings.base import DATABASES, INSTALLED_APPS, MIDDLEWARE

if os.environ.get("TWOFA_BENCH_BARE"):
    DATABASES["default"] |= {"CONN_MAX_AGE": 600}
    MIDDLEWARE = []
else:
    MIDDLEWARE = [*MIDDLEWARE, "django.middleware.clickjacking.XFrameOptionsMiddleware"]

ROOT_URLCONF = "tests.bench.urls"
TWOFA_FULFILLMENT_BACKEND = "tests.bench.points.FreePoints"

INSTALLED_APPS = [*INSTALLED_APPS, "django_otp.plugins.otp_email"]
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
OTP_EMAIL_THROTTLE_FACTOR = 0
OTP_EMAIL_COOLDOWN_DURATION = 0
