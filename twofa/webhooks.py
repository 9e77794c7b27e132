"""Post one webhook: signed, to an address that was checked, bounded in time and size. Nothing is written here.

The name is resolved once, and the connection goes to what was checked: a name that answers with a public address first
and with 127.0.0.1 later (DNS rebinding) is asked only once. TLS, SNI and ``Host`` keep the name, so the certificate is
checked as ever. Redirects are failures, proxies of the environment are not used (a pool asks none), and an answer is
read up to 4 KiB and thrown away: what an endpoint says is shown to nobody, or it would be a way to read what is behind.

What nobody here can bound is ``getaddrinfo`` (see ``twofa.channels.deadlines``): its time counts, so that nothing is
sent after the limit, but ``post`` may come back late by as much.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import urllib3
from standardwebhooks.webhooks import Webhook as Signer

from twofa import __version__, networks
from twofa.channels import deadlines
from twofa.conf import conf
from twofa.models import WebhookReason as Reason
from twofa.networks import Target

TIME_LIMIT = 10.0
"""Seconds for all of it, that a storefront has to answer in."""
CONNECT_TIMEOUT = 5.0
MOST_READ = 4096


class AddressRefused(Exception):
    """A name resolves to an address that no webhook may go to."""


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: the status of the answer, and why it does not count."""

    reason: str = ""
    status: int | None = None

    @property
    def is_accepted(self) -> bool:
        return not self.reason


class Sender:
    """Posts webhooks, over connections that are kept until it is closed."""

    def __init__(self) -> None:
        self._pools = deadlines.PoolManager(num_pools=4, maxsize=1, retries=False, ssl_context=tls())

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pools.clear()

    def post(self, url: str, *, message_id: str, body: str, secrets: Sequence[bytes], at: datetime) -> Outcome:
        """Send ``body``, signed with each of ``secrets`` at ``at``, and tell what came of it; nothing is raised."""
        try:
            target = networks.target_of(url, private_hosts=conf.webhook_private_hosts)
        except ValueError:
            # Checked when it was stored, and again: the setting may have changed, or somebody wrote to the table.
            return Outcome(Reason.ADDRESS_REFUSED)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"django-twofa/{__version__}",
            **signed(message_id, body, secrets, at),
        }
        return self._exchange(target, body.encode(), headers)

    def _exchange(self, target: Target, body: bytes, headers: dict[str, str]) -> Outcome:
        resolve = deadlines.addresses_of if target.is_private else public_addresses_of
        with deadlines.within(TIME_LIMIT, resolve=resolve) as deadline:
            try:
                return _judged(self._request(target, body, headers))
            except AddressRefused:
                return Outcome(Reason.ADDRESS_REFUSED)
            except urllib3.exceptions.SSLError:
                return Outcome(Reason.TIMEOUT if deadline.passed else Reason.TLS)
            except urllib3.exceptions.NewConnectionError:
                # A kind of timeout to urllib3, but mostly a refusal, or a name that nobody knows.
                return Outcome(Reason.CONNECTION)
            except (urllib3.exceptions.TimeoutError, TimeoutError):
                return Outcome(Reason.TIMEOUT)
            except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
                return Outcome(Reason.TIMEOUT if deadline.passed else Reason.CONNECTION)

    def _request(self, target: Target, body: bytes, headers: dict[str, str]) -> int:
        pool = self._pools.connection_from_host(target.host, target.port, target.scheme)
        response = pool.urlopen(
            "POST",
            target.path,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(total=TIME_LIMIT, connect=CONNECT_TIMEOUT),
            preload_content=False,
            decode_content=False,
        )
        if deadlines.is_past():
            # Headers that do not end were cut, which looks like their end: no answer came in time.
            response.close()
            raise TimeoutError
        _throw_away(response)
        return response.status


def signed(message_id: str, body: str, secrets: Sequence[bytes], at: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks: one signature for each secret that is live."""
    at = at.astimezone(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(message_id, at, body) for secret in secrets),
    }


def public_addresses_of(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Return the addresses of a host, if every one of them is public. Raises: AddressRefused, OSError, UnicodeError.

    Every one: of a name with a public and a private address the connection would try both.
    """
    found = deadlines.addresses_of(host, port)
    if not all(networks.is_public(address[0]) for *_kind, address in found):
        raise AddressRefused
    return found


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """Return what checks certificates, read from the system once: to read them costs more than to send a webhook."""
    return ssl.create_default_context()


def _judged(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status=status)
    if status == http.HTTPStatus.GONE:
        return Outcome(Reason.GONE, status)
    if 300 <= status < 400:
        return Outcome(Reason.REDIRECTED, status)
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome(Reason.BUSY, status)
    return Outcome(Reason.REFUSED if status < 500 else Reason.BROKEN, status)


def _throw_away(response: urllib3.BaseHTTPResponse) -> None:
    """Read a short answer to its end, so that its connection serves the next webhook; close any other one.

    The status is there already: a yes whose body breaks off, drips or does not end is still a yes.
    """
    read, ended = 0, False
    try:
        while read <= MOST_READ and not ended:
            piece = response.read(MOST_READ + 1 - read, decode_content=False)
            read, ended = read + len(piece), not piece
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        ended = False
    if ended and not deadlines.is_past():
        response.release_conn()
    else:
        response.close()
