"""Settings of the example, all from the environment; without any, a development machine that needs nothing else.

``DEBUG=0`` is production: then every secret and address must be given, and all that is missing is named at start-up.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import dj_database_url
from django.utils.translation import gettext_lazy as _

from example_project import documents, environment, gateways, logs

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var")

DEBUG = environment.flag("DEBUG", default=True)
if not DEBUG:
    environment.demand(
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "DATABASE_URL",
        "CELERY_BROKER_URL",
        "TWOFA_TOKEN_KEY",
        *(["DEFAULT_FROM_EMAIL"] if os.environ.get("EMAIL_URL") else []),
    )
SECRET_KEY = environment.secret("SECRET_KEY", debug=DEBUG, directory=VAR_DIR)
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if DEBUG else None)
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS", default=[])

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "example_project.staff.adminconfig.StaffAdminConfig",  # django.contrib.admin, behind a second factor
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "twofa",
    "example_project.loyalty",
    "example_project.shop",
    "example_project.staff",
]

MIDDLEWARE = [
    "example_project.logs.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if DEBUG:
    MIDDLEWARE.append("example_project.pages.NothingHereMiddleware")
CSRF_FAILURE_VIEW = "example_project.pages.show_stale_form"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "example_project" / "templates"],
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

# --- database --------------------------------------------------------------------------------------------------------

DATABASES = {
    "default": dj_database_url.parse(
        environment.text("DATABASE_URL", f"sqlite:///{quote(str(VAR_DIR / 'example.sqlite3'))}" if DEBUG else None),
        conn_max_age=60,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"] = {
        # SQLite has one writer and no row locks. A transaction that says at once that it will write waits for its turn;
        # one that says so late is refused, because what it has read may have changed.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # Where the database does not answer, requests are answered by 503 within seconds, and no thread hangs.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 3)

# --- jobs ------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = environment.text("CELERY_BROKER_URL", "memory://" if DEBUG else None)
# Without a broker the process that asks for a job does it itself: for development, and refused elsewhere by a check.
CELERY_TASK_ALWAYS_EAGER = CELERY_BROKER_URL == "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- two-factor ------------------------------------------------------------------------------------------------------

TWOFA_TOKEN_KEYS = environment.key_ring("TWOFA_TOKEN_KEY", debug=DEBUG, directory=VAR_DIR)
TWOFA_FULFILLMENT_BACKEND = "example_project.loyalty.fulfillment.PointsBackend"
PHONE_DIRECTORY = VAR_DIR / "messages"
TWOFA_CHANNELS = gateways.configured(os.environ, messages=PHONE_DIRECTORY if DEBUG else None)
# So that whoever tries a provider that fails on purpose does not wait for half a minute.
TWOFA_DELIVERY_MAX_TRIES = 2 if DEBUG else 4
# Where members reach the API's page behind the links “it was not me”; without it no message has one.
TWOFA_PUBLIC_URL = environment.text("TWOFA_PUBLIC_URL", "http://127.0.0.1:8000/api/v1" if DEBUG else "") or None
# The shop of development is on this machine, where no webhook goes unless it is named.
TWOFA_WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1", "localhost"] if DEBUG else []
# Another key than that of tokens: it lives for as long as a document does, and goes with the last one. A server without
# it runs, and takes no documents.
TWOFA_DOCUMENT_KEYS = (
    environment.key_ring("TWOFA_DOCUMENT_KEY", debug=DEBUG, directory=VAR_DIR)
    if DEBUG or os.environ.get("TWOFA_DOCUMENT_KEY")
    else {}
)
TWOFA_DOCUMENT_SCANNER = documents.scanner(os.environ)

# --- the shop: a client of the API, which need not be on this machine -------------------------------------------------

SHOP_API_URL = environment.text("SHOP_API_URL", "http://127.0.0.1:8000/api/v1" if DEBUG else "")
# The key, or a file that holds it: `manage.py seed` writes one in development.
SHOP_API_KEY = environment.text("SHOP_API_KEY", "")
SHOP_API_KEY_FILE = environment.text("SHOP_API_KEY_FILE", str(VAR_DIR / "shop_api_key.txt"))
# Calls of one process at a time. Where the shop calls its own server: fewer than that has threads.
SHOP_API_CALLS = int(environment.text("SHOP_API_CALLS", "3"))
# What webhooks are verified with: the secret, or a file that holds it, as with the key.
SHOP_WEBHOOK_SECRET = environment.text("SHOP_WEBHOOK_SECRET", "")
SHOP_WEBHOOK_SECRET_FILE = environment.text("SHOP_WEBHOOK_SECRET_FILE", str(VAR_DIR / "shop_webhook_secret.txt"))
SHOP_WEBHOOK_DIRECTORY = VAR_DIR / "webhooks"
# Who may sign in by a click: the members of `manage.py seed`, and outside of development nobody.
SHOP_MEMBERS = (
    [
        "summer:ana",
        "summer:bruno",
        "summer:nina",
        "everyday:ana",
        "premium:ana",
        "company:lucas",
        "company:marta",
    ]
    if DEBUG
    else []
)

# The campaign that people sign up for, and sign in to with a password.
SHOP_CAMPAIGN = environment.text("SHOP_CAMPAIGN", "summer" if DEBUG else "")

# --- e-mail ----------------------------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = environment.text("DEFAULT_FROM_EMAIL", "points@example.com")
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
if os.environ.get("EMAIL_URL"):
    globals().update(environment.email(os.environ["EMAIL_URL"]))

# --- languages, static files, security -------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("pt-br", _("Portuguese (Brazil)")), ("es", _("Spanish")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "example_project" / "locale"]
TIME_ZONE = environment.text("TIME_ZONE", "UTC")
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = environment.text("STATIC_ROOT", str(BASE_DIR / "staticfiles"))
STATICFILES_DIRS = [BASE_DIR / "example_project" / "static"]
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
    "twofa_documents": documents.storage(os.environ, folder=VAR_DIR / "documents"),
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
HTTPS = environment.flag("HTTPS", default=not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Health checks on the same machine do not come through the proxy that adds HTTPS.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_HSTS_SECONDS = int(environment.text("HSTS_SECONDS", "3600")) if HTTPS else 0
if environment.flag("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- staff -----------------------------------------------------------------------------------------------------------

OTP_TOTP_ISSUER = "Points"
# The page is not in our URLs; should a host add it, it still shows no secrets.
OTP_ADMIN_HIDE_SENSITIVE_DATA = True

# --- logs: the correlation id in every record, and one line for each where machines read them ------------------------

LOGGING = logs.configured(
    style=environment.text("LOG_FORMAT", "line" if DEBUG else "json"), level=environment.text("LOG_LEVEL", "INFO")
)
