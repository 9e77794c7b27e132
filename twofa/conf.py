"""The one reader of settings: typed, uncached, so that ``override_settings`` just works.

Every property's docstring is the documentation of its setting. ``checks.py`` refuses bad values at start-up.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

PREFIX = "TWOFA_"
MIN_KEY_BYTES = 32

DEFAULTS: dict[str, Any] = {
    "TOKEN_KEYS": {},
    "DOCUMENT_KEYS": {},
    "DOCUMENT_SCANNER": None,
    "NUMBER_CHECK": None,
    "CHANNELS": {},
    "PUBLIC_URL": None,
    "FULFILLMENT_BACKEND": None,
    "API_AUTHENTICATION": "twofa.api.authentication.StorefrontAuthentication",
    "LOGIN_STOREFRONT": None,
    "LOGIN_CAMPAIGN": None,
    "USER_RESOLVER": "twofa.flows.participants.create_user",
    "ACCESS_TOKEN_ISSUER": "twofa.flows.access_tokens.OpaqueIssuer",
    "ACCESS_TOKEN_TTL": timedelta(hours=1),
    "THROTTLE_RATES": {},
    "POLICY_LIMITS": {},
    "DELIVERY_LEASE": timedelta(seconds=30),
    "DELIVERY_MAX_TRIES": 4,
    "COMPLETION_MAX_TRIES": 10,
    "PUBLISH_TIMEOUT": timedelta(milliseconds=300),
    "PUBLISH_PAUSE": timedelta(seconds=10),
    "KEY_LIFETIME": timedelta(days=365),
    "DEVICES_PER_PARTICIPANT": 5,
    "PARTICIPANTS_PER_CONTACT": 3,
    "FOUR_EYES": False,
    "PREFIX_BREAKER": {},
    "COST_CURRENCY": "",
    "DOCUMENTS_PER_PARTICIPANT": 20,
    "DOCUMENT_BYTES_PER_PARTICIPANT": 60 * 1024 * 1024,
    "RETENTION": {},
    "WEBHOOK_PRIVATE_HOSTS": (),
}
PREFIX_BREAKER: dict[str, Any] = {
    "sends": 20,
    "conversion": 0.1,
    "window": timedelta(hours=12),
    "pause": timedelta(hours=12),
}
"""When a prefix of phone numbers is paused, and for how long: the defaults of ``TWOFA_PREFIX_BREAKER``."""
RETENTION: dict[str, timedelta] = {
    "documents": timedelta(days=30),
    "onboarding": timedelta(days=90),
    "contacts": timedelta(days=90),
    "idempotency": timedelta(hours=24),
    "webhooks": timedelta(days=30),
    "failed_webhooks": timedelta(days=90),
    "cases": timedelta(days=365),
}
"""How long what is personal is kept: the defaults of ``TWOFA_RETENTION``, but for ``events``, which are kept."""
LEAST_RETENTION: dict[str, timedelta] = {
    "documents": timedelta(0),
    "onboarding": timedelta(0),
    # Budgets count messages of the last 24 hours by their address, and wrong tokens by their events.
    "contacts": timedelta(hours=24),
    "events": timedelta(hours=24),
    # What the API promises of an ``Idempotency-Key``.
    "idempotency": timedelta(hours=24),
    # Staff look into the log of webhooks on the day after.
    "webhooks": timedelta(hours=24),
    "failed_webhooks": timedelta(hours=24),
    "cases": timedelta(0),
}
"""What no setting may go below."""


def decode_key(value: object) -> bytes:
    """Return a key's bytes, given as bytes or as their base64 text (standard or URL-safe).

    Raises: ValueError where it is neither.
    """
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("a key is bytes, or their base64 text")
    padded = value.strip().replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a key is bytes, or their base64 text") from error


class Conf:
    """Typed view of the ``TWOFA_*`` settings."""

    def _get(self, name: str) -> Any:
        return getattr(settings, PREFIX + name, DEFAULTS[name])

    def _ring(self, name: str) -> dict[str, bytes]:
        try:
            return {str(kid): decode_key(value) for kid, value in dict(self._get(name)).items()}
        except (ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"{PREFIX}{name}: {error}") from error

    @property
    def token_keys(self) -> dict[str, bytes]:
        """``TWOFA_TOKEN_KEYS``: kid -> 32 bytes or more (or base64 text). The first issues, all verify."""
        return self._ring("TOKEN_KEYS")

    @property
    def document_keys(self) -> dict[str, bytes]:
        """``TWOFA_DOCUMENT_KEYS``: kid -> 32 bytes or more (or base64 text). The first seals, all of them open."""
        return self._ring("DOCUMENT_KEYS")

    @property
    def document_scanner(self) -> Any:
        """``TWOFA_DOCUMENT_SCANNER``: a class, its dotted path, ``{"BACKEND", "OPTIONS"}``, or None for no scanner."""
        return self._get("DOCUMENT_SCANNER")

    @property
    def documents_folder(self) -> Path:
        """Where documents lie if ``STORAGES`` has no ``twofa_documents``: below ``BASE_DIR``, or the working folder."""
        return Path(getattr(settings, "BASE_DIR", None) or Path.cwd()) / "twofa_documents"

    @property
    def public_folders(self) -> list[Path]:
        """``MEDIA_ROOT``, ``STATIC_ROOT`` and ``STATICFILES_DIRS``: what a web server hands to whoever asks."""
        entries: list[Any] = [settings.MEDIA_ROOT, settings.STATIC_ROOT, *settings.STATICFILES_DIRS]
        # A folder of STATICFILES_DIRS may stand beside a prefix.
        folders = [entry[1] if isinstance(entry, list | tuple) else entry for entry in entries]
        return [Path(folder) for folder in folders if folder]

    @property
    def channels(self) -> Mapping[str, Mapping[str, Any]]:
        """``TWOFA_CHANNELS``: alias -> ``{"BACKEND": dotted path, "OPTIONS": constructor keywords}``."""
        channels: Mapping[str, Mapping[str, Any]] = self._get("CHANNELS")
        return channels

    def cost_of(self, alias: str) -> Decimal | None:
        """``TWOFA_CHANNELS[alias]["COST"]``: what one message costs, of an SMS each segment; None where it is unset."""
        given = self.channels.get(alias, {}).get("COST")
        return None if given is None else Decimal(given)

    @property
    def cost_currency(self) -> str:
        """``TWOFA_COST_CURRENCY``: the currency of every ``COST``, such as ``BRL``; empty where nothing has a price."""
        return str(self._get("COST_CURRENCY"))

    @property
    def prefix_breaker(self) -> Mapping[str, Any] | None:
        """``TWOFA_PREFIX_BREAKER``: ``sends``, ``conversion``, ``window`` and ``pause``; None switches it off."""
        given = self._get("PREFIX_BREAKER")
        return None if given is None else {**PREFIX_BREAKER, **given}

    @property
    def public_url(self) -> str:
        """``TWOFA_PUBLIC_URL``: where participants reach ``twofa.urls``; empty (default): no link in any message."""
        return str(self._get("PUBLIC_URL") or "").rstrip("/")

    @property
    def fulfillment_backend(self) -> Any:
        """``TWOFA_FULFILLMENT_BACKEND``: the class (or its dotted path) that holds, completes and releases points.

        Raises: ImproperlyConfigured where it is unset: points are never a silent no-op.
        """
        value = self._get("FULFILLMENT_BACKEND")
        if not value:
            raise ImproperlyConfigured("TWOFA_FULFILLMENT_BACKEND is not set. Name your fulfillment backend.")
        return import_string(value) if isinstance(value, str) else value

    @property
    def api_authentication(self) -> Callable[[], Any]:
        """``TWOFA_API_AUTHENTICATION``: the class, or its dotted path, that knows who calls (keys of storefronts)."""
        value = self._get("API_AUTHENTICATION")
        made: Callable[[], Any] = import_string(value) if isinstance(value, str) else value
        return made

    @property
    def user_resolver(self) -> Callable[..., Any]:
        """``TWOFA_USER_RESOLVER``: ``resolver(*, campaign, external_id, name, locale) -> user``.

        Called with ``username`` and ``password`` besides, where the participant shall log in.
        """
        value = self._get("USER_RESOLVER")
        resolver: Callable[..., Any] = import_string(value) if isinstance(value, str) else value
        return resolver

    @property
    def access_token_issuer(self) -> Any:
        """``TWOFA_ACCESS_TOKEN_ISSUER``: a class, or its dotted path: ``issue(*, participant, storefront)`` and
        ``authenticate(text)``.
        """
        value = self._get("ACCESS_TOKEN_ISSUER")
        issuer = import_string(value) if isinstance(value, str) else value
        return issuer()

    @property
    def access_token_ttl(self) -> timedelta:
        """``TWOFA_ACCESS_TOKEN_TTL``: life of an access token of the default issuer (1 h)."""
        life: timedelta = self._get("ACCESS_TOKEN_TTL")
        return life

    @property
    def number_check(self) -> Callable[[str], object] | None:
        """``TWOFA_NUMBER_CHECK``: ``check(number) -> bool``, or its dotted path; None (default) asks nobody."""
        value = self._get("NUMBER_CHECK")
        check: Callable[[str], object] | None = import_string(value) if isinstance(value, str) else value
        return check

    @property
    def throttle_rates(self) -> Mapping[str, str]:
        """``TWOFA_THROTTLE_RATES``: ``{"storefront": "600/min"}``. Empty (default): no request throttling."""
        rates: Mapping[str, str] = self._get("THROTTLE_RATES")
        return rates

    @property
    def policy_limits(self) -> Mapping[str, Any]:
        """``TWOFA_POLICY_LIMITS``: stricter than the product's own: ``max_attempts``, ``token_ttl``, ``token_bits``."""
        limits: Mapping[str, Any] = self._get("POLICY_LIMITS")
        return limits

    @property
    def delivery_lease(self) -> timedelta:
        """``TWOFA_DELIVERY_LEASE``: how long a worker may take for one message before another may repeat it (30 s)."""
        lease: timedelta = self._get("DELIVERY_LEASE")
        return lease

    @property
    def delivery_max_tries(self) -> int:
        """``TWOFA_DELIVERY_MAX_TRIES``: tries of one message before it fails over (4)."""
        return int(self._get("DELIVERY_MAX_TRIES"))

    @property
    def completion_max_tries(self) -> int:
        """``TWOFA_COMPLETION_MAX_TRIES``: tries of a completion before it is parked for staff (10)."""
        return int(self._get("COMPLETION_MAX_TRIES"))

    @property
    def publish_timeout(self) -> timedelta:
        """``TWOFA_PUBLISH_TIMEOUT``: how long a request may wait for the broker (300 ms)."""
        timeout: timedelta = self._get("PUBLISH_TIMEOUT")
        return timeout

    @property
    def publish_pause(self) -> timedelta:
        """``TWOFA_PUBLISH_PAUSE``: after the broker failed, leave jobs to the sweeper for so long (10 s)."""
        pause: timedelta = self._get("PUBLISH_PAUSE")
        return pause

    @property
    def key_lifetime(self) -> timedelta | None:
        """``TWOFA_KEY_LIFETIME``: life of a storefront's key (365 days), or None for no expiry."""
        lifetime: timedelta | None = self._get("KEY_LIFETIME")
        return lifetime

    @property
    def devices_per_participant(self) -> int:
        """``TWOFA_DEVICES_PER_PARTICIPANT``: how many devices, pending ones included, one participant may have (5)."""
        return int(self._get("DEVICES_PER_PARTICIPANT"))

    @property
    def participants_per_contact(self) -> int | None:
        """``TWOFA_PARTICIPANTS_PER_CONTACT``: how many participants of a campaign may use one contact (3), or None."""
        limit = self._get("PARTICIPANTS_PER_CONTACT")
        return None if limit is None else int(limit)

    @property
    def four_eyes(self) -> bool:
        """``TWOFA_FOUR_EYES``: whether what loosens a campaign's policy needs a second person (False)."""
        return bool(self._get("FOUR_EYES"))

    @property
    def documents_per_participant(self) -> int:
        """``TWOFA_DOCUMENTS_PER_PARTICIPANT``: files kept, and files sent in 24 hours, of one participant (20)."""
        return int(self._get("DOCUMENTS_PER_PARTICIPANT"))

    @property
    def document_bytes_per_participant(self) -> int:
        """``TWOFA_DOCUMENT_BYTES_PER_PARTICIPANT``: bytes of all files kept of one participant (60 MiB)."""
        return int(self._get("DOCUMENT_BYTES_PER_PARTICIPANT"))

    @property
    def retention(self) -> Mapping[str, timedelta]:
        """``TWOFA_RETENTION``: how long to keep what is personal, by what it is; what is left out keeps its default."""
        given = {name: value for name, value in self._get("RETENTION").items() if name != "events"}
        return {name: max(period, LEAST_RETENTION[name]) for name, period in {**RETENTION, **given}.items()}

    @property
    def event_retention(self) -> Mapping[str, timedelta]:
        """``TWOFA_RETENTION["events"]``: beginning of a type (``"delivery"``) -> how long; empty: all are kept."""
        periods: Mapping[str, timedelta] = self._get("RETENTION").get("events") or {}
        return {prefix: max(period, LEAST_RETENTION["events"]) for prefix, period in periods.items()}

    @property
    def webhook_private_hosts(self) -> frozenset[str]:
        """``TWOFA_WEBHOOK_PRIVATE_HOSTS``: hosts that webhooks may go to over http, any port and any address (none)."""
        return frozenset(self._get("WEBHOOK_PRIVATE_HOSTS"))

    def given(self, name: str) -> Any:
        """Return ``TWOFA_<name>`` as the host wrote it, or its default: for the checks, which look before they leap."""
        return self._get(name)

    @property
    def is_debug(self) -> bool:
        """Tell whether the host runs with ``DEBUG``."""
        return bool(settings.DEBUG)

    @property
    def host_secrets(self) -> list[str | bytes]:
        """``SECRET_KEY`` and its fallbacks: what no key of ours may repeat."""
        try:
            secrets: list[str | bytes] = [settings.SECRET_KEY]
        except ImproperlyConfigured:  # it is empty, and Django tells so itself
            secrets = []
        return [*secrets, *settings.SECRET_KEY_FALLBACKS]

    @property
    def language_code(self) -> str:
        """Django's ``LANGUAGE_CODE``: the language of messages to participants who have none."""
        return str(settings.LANGUAGE_CODE)

    @property
    def login_storefront(self) -> str | None:
        """``TWOFA_LOGIN_STOREFRONT``: the name of the storefront as which Django's login asks for tokens."""
        name: str | None = self._get("LOGIN_STOREFRONT")
        return name

    @property
    def login_campaign(self) -> str | None:
        """``TWOFA_LOGIN_CAMPAIGN``: the slug of the campaign in which whoever signs in is a participant."""
        slug: str | None = self._get("LOGIN_CAMPAIGN")
        return slug

    @property
    def login_redirect_url(self) -> Any:
        """Django's ``LOGIN_REDIRECT_URL``."""
        return settings.LOGIN_REDIRECT_URL

    @property
    def middleware(self) -> list[str]:
        """Django's ``MIDDLEWARE``."""
        return list(settings.MIDDLEWARE)

    def unknown_names(self) -> list[str]:
        """Names like ``TWOFA_*`` in the settings that mean nothing here: typing errors."""
        known = {PREFIX + name for name in DEFAULTS}
        return sorted(name for name in dir(settings) if name.startswith(PREFIX) and name not in known)


conf = Conf()
