"""The process environment: read once, by the settings, with a plain message for whoever forgot something."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class Misconfigured(ImproperlyConfigured):
    """The environment lacks something, or has something that cannot be read."""


def demand(*names: str) -> None:
    """Insist on variables, on all at once: whoever starts a server should not learn of them in turn.

    Raises: Misconfigured where some are not set.
    """
    missing = ", ".join(name for name in names if not os.environ.get(name))
    if missing:
        raise Misconfigured(
            f"Set {missing} in the environment, or DEBUG=1 for development. See docs/howto/run-the-example.md."
        )


def text(name: str, default: str | None = None) -> str:
    """Return a variable. Raises: Misconfigured where it is not set and has no default."""
    if default is None:
        demand(name)
    return os.environ.get(name) or default or ""


def flag(name: str, *, default: bool) -> bool:
    """Return a variable as yes or no. Raises: Misconfigured where it is neither."""
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise Misconfigured(f"{name} is 1 or 0, not {value!r}.")


def words(name: str, *, default: list[str] | None = None) -> list[str]:
    """Return a variable as a list, split at commas. Raises: Misconfigured where it is not set."""
    if default is not None and not os.environ.get(name):
        return default
    return [word.strip() for word in text(name).split(",") if word.strip()]


def secret(name: str, *, debug: bool, directory: Path) -> str:
    """Return a secret: the variable or, in development only, one that is made once and kept in ``directory``.

    Never a constant of the repository: such keys are copied to production together with the code.
    Raises: Misconfigured where it is not set outside of development.
    """
    if os.environ.get(name) or not debug:
        return text(name)
    kept = directory / f"{name.lower()}.txt"
    if not kept.exists():
        _keep(kept, base64.b64encode(secrets.token_bytes(48)).decode())
    return kept.read_text().strip()


def key_ring(name: str, *, debug: bool, directory: Path) -> dict[str, str]:
    """Return a ring of keys: ``base64`` (one key), or ``kid:base64,kid:base64``, where the first one issues."""
    ring = secret(name, debug=debug, directory=directory).split(",")
    pairs = (entry.strip().rpartition(":") for entry in ring if entry.strip())
    return {kid or "k1": value for kid, _colon, value in pairs}


def _keep(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside it and then linked: of two processes that start together both end up with the same whole value.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".new-") as fresh:
        fresh.write(f"{value}\n")
        fresh.flush()
        try:
            os.link(fresh.name, path)
        except FileExistsError:
            return


def email(url: str) -> dict[str, Any]:
    """Return Django's e-mail settings for ``smtp://user:password@host:587/?tls=1``, or ``smtps://…``.

    Raises: Misconfigured for any other scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise Misconfigured("EMAIL_URL looks like smtp://user:password@host:587/?tls=1 or smtps://…")
    tls = parse_qs(parts.query).get("tls", ["0"])[0]
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if parts.scheme == "smtps" else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and tls.lower() in _TRUE,
        "EMAIL_TIMEOUT": 10,
    }
