"""What every settings module of the suite shares: a small host project, with its servers named by the environment.

`tests.servers.plugin` starts the servers and names them. Processes that a test starts (a worker, a second run) inherit
the names, and may change any setting by `TWOFA_TEST_OVERRIDES`, a JSON object.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import dj_database_url

SECRET_KEY = "only-for-tests-" + "0123456789" * 5
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "/static/"
DEFAULT_FROM_EMAIL = "points@example.org"
# Staff sign in thousands of times in this suite, with passwords that protect nothing.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "twofa",
    "example_project.loyalty",
    "example_project.shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        **dj_database_url.parse(
            os.environ.get("TWOFA_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1/postgres"),
            conn_max_age=0,
        ),
        "TEST": {"NAME": "test_twofa"},
    },
}

CELERY_BROKER_URL = os.environ.get("TWOFA_TEST_BROKER_URL", "redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

TWOFA_TOKEN_KEYS = {"test": b"a key of the tests, for the tests, 32 bytes and more"}
TWOFA_CHANNELS = {alias: {"BACKEND": "twofa.channels.memory.MemoryChannel"} for alias in ("sms", "whatsapp", "email")}
# The memory channel is meant here; that it is refused in production is tested where the checks are.
SILENCED_SYSTEM_CHECKS = ["twofa.E024"]
TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RecordingBackend"
# A loaded machine stalls for longer than a broker of the same host ever needs: a race here would be the machine's.
TWOFA_PUBLISH_TIMEOUT = timedelta(seconds=2)
# The example's shop; its tests say where its API is, and who may sign in.
SHOP_API_URL = SHOP_API_KEY = ""
SHOP_API_KEY_FILE = os.devnull
SHOP_API_CALLS = 4
SHOP_MEMBERS: list[str] = []
SHOP_WEBHOOK_SECRET = ""
SHOP_WEBHOOK_SECRET_FILE = os.devnull
SHOP_WEBHOOK_DIRECTORY = Path(os.devnull)


def overrides() -> dict[str, object]:
    """Settings that the test that started this process asked for."""
    given: dict[str, object] = json.loads(os.environ.get("TWOFA_TEST_OVERRIDES", "{}"))
    return given
