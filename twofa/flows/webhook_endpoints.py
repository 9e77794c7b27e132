"""Endpoints of webhooks, as staff keep them: add, change, rotate the secret, test, enable again, send again."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from twofa import correlation
from twofa.exceptions import PolicyRefused
from twofa.flows import announcing, webhooks
from twofa.flows.history import Actor, Trail
from twofa.flows.transactions import after_commit
from twofa.models import PING, Storefront, Webhook, WebhookEndpoint
from twofa.models.clock import now
from twofa.webhooks import Outcome, Sender

OVERLAP = timedelta(hours=24)
"""How long a former secret signs beside its successor."""
CHANGEABLE = {"url", "description", "events", "is_active"}
_MARK = "whsec_"


def secret_text(secret: bytes) -> str:
    """Return a secret as it is handed over (Standard Webhooks)."""
    return _MARK + base64.b64encode(secret).decode()


def open_endpoint(
    storefront: Storefront, *, actor: Actor, url: str, description: str = "", events: list[str] | None = None
) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint and return it with the text of its secret, which is shown once and stored nowhere.

    Raises: PolicyRefused where no webhook may go to ``url``, and where the storefront has an endpoint there already.
    """
    with transaction.atomic():
        Storefront.objects.select_for_update(no_key=True).get(pk=storefront.pk)
        row = WebhookEndpoint(storefront=storefront, url=url, description=description, events=events or [])
        row.renew_secret()
        _ensure_valid(row)
        row.save(force_insert=True)
        _record("webhook_endpoint.opened", row, actor, url=row.url, told=row.events)
        after_commit(announcing.remember, storefront.pk, hears=True)
    return row, secret_text(row.secret())


def update(endpoint: WebhookEndpoint, *, actor: Actor, changes: dict[str, Any]) -> WebhookEndpoint:
    """Change ``CHANGEABLE`` columns, and note what was and what is. Raises: PolicyRefused."""
    with transaction.atomic():
        locked = _locked(endpoint)
        before = _described(locked)
        for name in CHANGEABLE & changes.keys():
            setattr(locked, name, changes[name])
        after = _described(locked)
        changed = [name for name, value in after.items() if value != before[name]]
        if changed:
            _ensure_valid(locked)
            locked.save(update_fields=CHANGEABLE)
            was, now_is = ({name: state[name] for name in changed} for state in (before, after))
            _record("webhook_endpoint.changed", locked, actor, before=was, after=now_is)
    if not locked.is_active:
        webhooks.bury(locked)
    return locked


def _described(row: WebhookEndpoint) -> dict[str, Any]:
    return {"url": row.url, "description": row.description, "told": row.events, "is_active": row.is_active}


def rotate_secret(
    endpoint: WebhookEndpoint, *, actor: Actor, secret_number: int | None = None, overlap: timedelta = OVERLAP
) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret and return it with its text; the former one signs as well for ``overlap``.

    ``secret_number`` is that of the secret that whoever asks knows of: a form sent twice would rotate twice, and the
    secret that the storefront verifies with would be gone. Raises: PolicyRefused.
    """
    with transaction.atomic():
        locked, at = _locked(endpoint), now()
        if secret_number is not None and secret_number != locked.secret_number:
            raise PolicyRefused(_("The secret was rotated a moment ago. Look at the endpoint before you rotate again."))
        locked.previous_seed, locked.previous_kid = locked.seed, locked.kid
        locked.previous_until = at + overlap
        locked.renew_secret()
        locked.secret_number += 1
        locked.save(update_fields=["seed", "kid", "secret_number", "previous_seed", "previous_kid", "previous_until"])
        _record("webhook_endpoint.secret_rotated", locked, actor, number=locked.secret_number)
    return locked, secret_text(locked.secret())


def enable(endpoint: WebhookEndpoint, *, actor: Actor) -> None:
    """Use an endpoint again that the machine gave up; what failed meanwhile stays as it is. Raises: PolicyRefused."""
    with transaction.atomic():
        locked = _locked(endpoint)
        if locked.disabled_at is None:
            raise PolicyRefused(_("It is not disabled: somebody else may have been faster."))
        reason = locked.disabled_reason
        locked.disabled_at, locked.disabled_reason = None, ""
        locked.failing_since = locked.paused_until = None
        locked.save(update_fields=["disabled_at", "disabled_reason", "failing_since", "paused_until"])
        _record("webhook_endpoint.enabled", locked, actor, reason=reason)


def test(endpoint: WebhookEndpoint, *, actor: Actor) -> Outcome:
    """Send a webhook of no meaning now, as any other is sent, and return what came of it. It is tried once."""
    with transaction.atomic():
        row = _ping(_locked(endpoint), now())
        _record("webhook_endpoint.tested", row.endpoint, actor, webhook_id=row.webhook_id)
    with Sender() as sender:
        outcome = webhooks.send(row, sender, row.created_at)
    webhooks.record(row, outcome, is_test=True)
    return outcome


def _ping(endpoint: WebhookEndpoint, at: datetime) -> Webhook:
    version = int(at.timestamp())
    return Webhook.objects.create(
        endpoint=endpoint,
        type=PING,
        subject="webhook_endpoint",
        subject_id=str(endpoint.pk),
        version=version,
        data={"id": str(endpoint.pk), "version": version},
        test=True,
        status=Webhook.Status.SENDING,
        tries=1,
        due_at=at,
        leased_until=at + webhooks.LEASE,
        correlation_id=correlation.current(),
        created_at=at,
    )


def replay(row: Webhook, *, actor: Actor) -> None:
    """Send a webhook again, under the same id: whoever has it drops it. Raises: PolicyRefused."""
    with transaction.atomic():
        locked = Webhook.objects.select_for_update(no_key=True).get(pk=row.pk)
        endpoint = WebhookEndpoint.objects.select_related("storefront").get(pk=locked.endpoint_id)
        _ensure_open(endpoint)
        if locked.status in Webhook.OPEN:
            raise PolicyRefused(_("It is about to be sent: somebody else may have been faster."))
        locked.change(status=Webhook.Status.QUEUED, reason="", tries=0, due_at=now())
        _record("webhook_endpoint.replayed", endpoint, actor, webhook_id=locked.webhook_id, rows=1)
        webhooks.publish(endpoint)


def replay_failed(endpoint: WebhookEndpoint, *, actor: Actor) -> int:
    """Send again what an endpoint did not accept, each under its id; return how many. Raises: PolicyRefused.

    The oldest ``webhooks.AT_ONCE`` of them: what days of silence left behind is no work for one request, and whoever
    comes back to life need not be flooded.
    """
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.select_related("storefront").get(pk=endpoint.pk)
        _ensure_open(endpoint)
        failed = _failed(endpoint)
        oldest = list(failed.order_by("pk").values_list("pk", flat=True)[: webhooks.AT_ONCE])
        rows = failed.filter(pk__in=oldest).update(status=Webhook.Status.QUEUED, reason="", tries=0, due_at=now())
        if not rows:
            raise PolicyRefused(_("There is nothing to send again: somebody else may have been faster."))
        _record("webhook_endpoint.replayed", endpoint, actor, rows=rows)
        webhooks.publish(endpoint)
    return rows


def has_failed(endpoint: WebhookEndpoint) -> bool:
    """Tell whether there is anything to send again."""
    return _failed(endpoint).exists()


def _failed(endpoint: WebhookEndpoint) -> QuerySet[Webhook]:
    return Webhook.objects.filter(endpoint=endpoint, status=Webhook.Status.FAILED).exclude(type=PING)


def _ensure_open(endpoint: WebhookEndpoint) -> None:
    if not (endpoint.is_open() and endpoint.storefront.is_active):
        raise PolicyRefused(_("The endpoint is switched off or disabled, or its storefront is. Enable it first."))


def _ensure_valid(row: WebhookEndpoint) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        raise PolicyRefused(" ".join(error.messages)) from None


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.select_for_update(no_key=True, of=("self",)).select_related("storefront")
    return rows.get(pk=endpoint.pk)


def _record(type_: str, endpoint: WebhookEndpoint, actor: Actor, **data: Any) -> None:
    trail = Trail(actor, now())
    trail.add(type_, endpoint, endpoint_id=str(endpoint.pk), **data)
    trail.write()
