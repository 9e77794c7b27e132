"""``TWOFA_CHANNELS`` from the environment: files that the phone page shows, until real gateways are named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_BODY = {"to": "{recipient}", "text": "{text}", "reference": "{idempotency_key}"}


def configured(environ: Mapping[str, str], *, messages: Path | None) -> dict[str, dict[str, Any]]:
    """Return ``TWOFA_CHANNELS``.

    ``TWILIO_ACCOUNT_SID`` names Twilio, ``SMS_GATEWAY_URL`` and ``WHATSAPP_GATEWAY_URL`` name other HTTP providers,
    which come first, ``EMAIL_URL`` a mail server. What is not named is written to ``messages``, one folder for each
    channel; outside of development (None) it is not there at all, so that no token ever lands in a file of a server.
    Raises: ImproperlyConfigured for values that are not JSON where they should be.
    """
    named = [alias for alias in ("sms", "whatsapp") if environ.get(f"{alias.upper()}_GATEWAY_URL")]
    real = {**_twilio(environ), **{alias: _gateway(alias.upper(), environ) for alias in named}}
    if environ.get("EMAIL_URL"):
        real["email"] = {"BACKEND": "twofa.channels.email.EmailChannel"}
    written = {} if messages is None else {alias: _file(messages / alias) for alias in ("whatsapp", "email")}
    failing = {} if messages is None else {"sms": _failing(messages / "sms")}
    return {**failing, **written, **real}


def _file(directory: Path) -> dict[str, Any]:
    return {"BACKEND": "twofa.channels.file.FileChannel", "OPTIONS": {"directory": directory}}


def _failing(directory: Path) -> dict[str, Any]:
    return {"BACKEND": "example_project.breakdowns.FailingChannel", "OPTIONS": {"directory": directory}}


def _twilio(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the channels that have a sender at Twilio."""
    if not environ.get("TWILIO_ACCOUNT_SID"):
        return {}
    account: dict[str, Any] = {
        "account_sid": environ["TWILIO_ACCOUNT_SID"],
        "auth_token": environ.get("TWILIO_AUTH_TOKEN", ""),
        "api_key_sid": environ.get("TWILIO_API_KEY_SID", ""),
        "api_key_secret": environ.get("TWILIO_API_KEY_SECRET", ""),
        "other_auth_tokens": [environ["TWILIO_NEXT_AUTH_TOKEN"]] if environ.get("TWILIO_NEXT_AUTH_TOKEN") else [],
    }
    if environ.get("TWILIO_BASE_URL"):
        account["base_url"] = environ["TWILIO_BASE_URL"]
    senders: dict[str, dict[str, Any]] = {
        "sms": {
            "from_": environ.get("TWILIO_SMS_FROM", ""),
            "messaging_service_sid": environ.get("TWILIO_MESSAGING_SERVICE_SID", ""),
        },
        "whatsapp": {
            "from_": environ.get("TWILIO_WHATSAPP_FROM", ""),
            "content_sid": _json("TWILIO_WHATSAPP_CONTENT_SIDS", environ) or "",
            "whatsapp": True,
        },
    }
    public = environ.get("TWILIO_STATUS_CALLBACK", "").rstrip("/")
    return {
        alias: {
            "BACKEND": "twofa.channels.twilio.TwilioChannel",
            "OPTIONS": {**account, **sender, "status_callback": f"{public}/{alias}/" if public else ""},
        }
        for alias, sender in senders.items()
        if sender["from_"] or sender.get("messaging_service_sid")
    }


def _gateway(prefix: str, environ: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "url": environ[f"{prefix}_GATEWAY_URL"],
        "body": _json(f"{prefix}_GATEWAY_BODY", environ) or _BODY,
        "headers": _json(f"{prefix}_GATEWAY_HEADERS", environ) or {},
        "id_path": environ.get(f"{prefix}_GATEWAY_ID_PATH") or None,
    }
    return {"BACKEND": "twofa.channels.http.HttpChannel", "OPTIONS": options}


def _json(name: str, environ: Mapping[str, str]) -> dict[str, Any] | None:
    if not environ.get(name):
        return None
    try:
        value = json.loads(environ[name])
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{name} is a JSON object.")
    return value
