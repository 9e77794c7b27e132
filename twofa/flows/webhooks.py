"""Webhooks: send what is due to one endpoint, record what became of it, and leave an endpoint alone that fails.

An endpoint that hangs must cost the others nothing. So a job is about one endpoint, bounded in rows and in time, and
two workers at most are busy with one; after a failure the endpoint is paused, and then one worker alone tries one row.
The rows wait, and are sent once it answers.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Min, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from twofa import correlation, jobs
from twofa.conf import conf
from twofa.exceptions import TransitionRefused
from twofa.flows import facts
from twofa.flows.history import WORKER, Trail
from twofa.flows.transactions import after_commit
from twofa.models import Webhook, WebhookEndpoint, WebhookReason
from twofa.models.clock import now
from twofa.tokens import UnknownKey
from twofa.webhooks import Outcome, Sender

logger = correlation.get_logger(__name__)

LEASE = timedelta(seconds=30)
"""How long a worker may take for one webhook, which is bounded by 10 s, before another one may send it again."""
DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The pauses after each failed try, the first of which was made at once: three days in all."""
MAX_TRIES = len(DELAYS) + 1
LEAST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
"""Of an endpoint that fails: it grows with the time for which it has been failing."""
DEAD_AFTER = timedelta(days=5)
"""An endpoint that took nothing for so long is given up."""
MOST, SECONDS = 50, 20.0
"""Rows and seconds of one job."""
WORKERS = 2
"""Workers that are busy with one endpoint at a time, with all that waits for it: each commit publishes a job, and one
that accepts everything after nine seconds never fails, so it would hold every worker there is."""
INLINE_SECONDS = 5.0
"""Seconds that a sweep spends on endpoints itself, where no broker takes their jobs."""
BATCH = 1000
"""Rows deleted, or failed, in one transaction."""
AT_ONCE = 10_000
"""Failed rows that staff send again at once."""
ENDPOINTS = 100
"""Endpoints that one sweep looks after."""
Status = Webhook.Status


def push(endpoint_id: UUID, *, most: int = MOST, seconds: float = SECONDS) -> int:
    """Send what is due to one endpoint, and return how many rows were taken.

    Safe to call any number of times, by any number of workers: each row is claimed by one conditional UPDATE. It ends
    at the first failure, and after ``most`` rows or ``seconds``; what is left is published again.
    """
    until, taken = time.monotonic() + seconds, 0
    with Sender() as sender:
        while taken < most and time.monotonic() < until:
            outcome = _push_one(endpoint_id, sender)
            taken += outcome is not None
            if outcome is None or not outcome.is_accepted:
                return taken
    if not jobs.is_eager():
        jobs.publish(jobs.PUSH, endpoint_id)
    return taken


def push_due(at: datetime) -> int:
    """See that what is due is sent: by workers, or where none can be told here, for a few seconds.

    Called by the sweeper, whose other steps must not wait for the slowest endpoint in the world.
    """
    waiting = Q(endpoint__paused_until__isnull=True) | Q(endpoint__paused_until__lte=at)
    rows = Webhook.objects.due(at).filter(waiting).values("endpoint_id").annotate(oldest=Min("due_at"))
    endpoints = [row["endpoint_id"] for row in rows.order_by("oldest")[:ENDPOINTS]]
    until = time.monotonic() + INLINE_SECONDS
    for endpoint in endpoints:
        published = not jobs.is_eager() and jobs.publish(jobs.PUSH, endpoint)
        if not published and (left := until - time.monotonic()) > 0:
            push(endpoint, seconds=left)
    return len(endpoints)


def send(row: Webhook, sender: Sender, at: datetime) -> Outcome:
    """Post a row that the caller has claimed."""
    endpoint = row.endpoint
    try:
        signing = endpoint.secrets(at)
    except UnknownKey:
        return Outcome(WebhookReason.KEY_MISSING)
    return sender.post(endpoint.url, message_id=row.webhook_id, body=row.body(), secrets=signing, at=at)


def _push_one(endpoint_id: UUID, sender: Sender) -> Outcome | None:
    """Send one row; None where there is none to be sent now."""
    at = now()
    endpoint = WebhookEndpoint.objects.select_related("storefront").filter(pk=endpoint_id).first()
    if endpoint is None:
        return None
    if not (endpoint.is_open() and endpoint.storefront.is_active):
        bury(endpoint)
        return None
    row = None if endpoint.is_paused(at) else _claim(endpoint, at)
    if row is None:
        return None
    row.endpoint = endpoint
    with correlation.bound(row.correlation_id):
        outcome = _sent(row, sender, at)
        record(row, outcome)
    return outcome


def _sent(row: Webhook, sender: Sender, at: datetime) -> Outcome:
    if row.tries > MAX_TRIES:
        # Whoever claimed it last never lived to record a failure: it may be the row that kills workers.
        return Outcome(WebhookReason.LEASE_LOST)
    return send(row, sender, at)


def _claim(endpoint: WebhookEndpoint, at: datetime) -> Webhook | None:
    """Take the row that has waited longest, unless enough workers are busy with this endpoint: they see to the rest.

    Of an endpoint that fails, only one worker takes one.
    """
    with transaction.atomic():
        # One claim at a time, or all of those that come together would count none of the others.
        facts.take_turn(f"twofa:endpoint:{endpoint.pk}")
        busy = Webhook.objects.filter(endpoint=endpoint, status=Status.SENDING, leased_until__gt=at)
        if busy.count() >= WORKERS:
            return None
        rows = Webhook.objects.due(at).filter(endpoint=endpoint).order_by("due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, no_key=True)
        pk = rows.values_list("pk", flat=True).first()
        if pk is None or not (endpoint.failing_since is None or _probes(endpoint, at)):
            return None
        return Webhook.objects.claim(pk, at=at, lease=LEASE)


def _probes(endpoint: WebhookEndpoint, at: datetime) -> bool:
    """Pause an endpoint for everybody else while one worker tries it; tell whether this is the one."""
    free = Q(paused_until__isnull=True) | Q(paused_until__lte=at)
    same = WebhookEndpoint.objects.filter(free, pk=endpoint.pk)
    return bool(same.update(paused_until=at + LEASE))


def record(row: Webhook, outcome: Outcome, *, is_test: bool = False) -> None:
    """Record what became of a try: of the row, and of its endpoint. A failed test says nothing about the endpoint."""
    try:
        with transaction.atomic():
            at = now()
            if outcome.is_accepted:
                _accept(row, outcome, at)
            else:
                _fail(row, outcome, at, again=not is_test)
    except TransitionRefused:
        # Our lease ran out, and another worker took over: the endpoint drops what it has by its id.
        logger.warning("webhook %s was taken over", row.pk)
        return
    if not row.endpoint.is_open():
        bury(row.endpoint)


def _accept(row: Webhook, outcome: Outcome, at: datetime) -> None:
    _move(row, Status.SENT, reason="", sent_at=at, last_status=outcome.status)
    endpoint = row.endpoint
    if endpoint.failing_since is not None or endpoint.paused_until is not None:
        _write(endpoint, failing_since=None, paused_until=None)


def _fail(row: Webhook, outcome: Outcome, at: datetime, *, again: bool) -> None:
    gone = outcome.reason == WebhookReason.GONE
    if again and not gone and row.tries < MAX_TRIES:
        _move(row, Status.QUEUED, reason=outcome.reason, last_status=outcome.status, due_at=at + delay(row.tries))
    else:
        _move(row, Status.FAILED, reason=outcome.reason, last_status=outcome.status)
    if not again:
        return
    endpoint = row.endpoint
    since = endpoint.failing_since or at
    _write(endpoint, failing_since=Coalesce("failing_since", Value(at)), paused_until=at + _pause(at - since))
    endpoint.failing_since = since
    if gone or at - since >= DEAD_AFTER:
        _disable(endpoint, WebhookEndpoint.Disabled.GONE if gone else WebhookEndpoint.Disabled.DEAD, at)


def delay(tries: int) -> timedelta:
    """Return the pause after so many tries, with up to a tenth more: what failed together need not return together."""
    return DELAYS[tries - 1] * (1 + secrets.randbelow(100) / 1000)


def _pause(failing_for: timedelta) -> timedelta:
    return max(LEAST_PAUSE, min(failing_for / 4, LONGEST_PAUSE))


def _disable(endpoint: WebhookEndpoint, reason: WebhookEndpoint.Disabled, at: datetime) -> None:
    """Give an endpoint up, once, with an event and an alert: its storefront hears nothing any more."""
    if not WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None).update(
        disabled_at=at, disabled_reason=reason
    ):
        return
    endpoint.disabled_at, endpoint.disabled_reason = at, reason
    trail = Trail(WORKER, at)
    trail.add("webhook_endpoint.disabled", endpoint, endpoint_id=str(endpoint.pk), reason=reason.value)
    trail.write()


def bury(endpoint: WebhookEndpoint) -> int:
    """Fail what waits for an endpoint that is closed, in sight of staff, who may send it again; return how many.

    In transactions of its own: a claim locks a row before its endpoint, and so must everybody. In chunks: days of a
    dead endpoint are millions of rows, and one statement would hold them all until its end.
    """
    disabled = endpoint.disabled_at is not None
    reason = WebhookReason.ENDPOINT_DISABLED if disabled else WebhookReason.ENDPOINT_OFF
    left = Q(status=Status.QUEUED) | Q(status=Status.SENDING, leased_until__lte=now())
    waiting = Webhook.objects.filter(left, endpoint=endpoint).order_by("pk")
    buried, seen = 0, 0
    # No further than what waits now: staff may open the endpoint again meanwhile, and what comes then is to be sent.
    last = waiting.values_list("pk", flat=True).last()
    while last and (chunk := list(waiting.filter(pk__gt=seen, pk__lte=last).values_list("pk", flat=True)[:BATCH])):
        seen = chunk[-1]
        buried += waiting.filter(pk__in=chunk).update(status=Status.FAILED, reason=reason, leased_until=None)
    return buried


def publish(endpoint: WebhookEndpoint) -> None:
    """Tell a worker after the commit that there is something to send."""
    after_commit(jobs.publish, jobs.PUSH, endpoint.pk)


def _move(row: Webhook, status: Status, **changes: Any) -> None:
    row.change(guard=("leased_until",), status=status, leased_until=None, **changes)


def _write(endpoint: WebhookEndpoint, **changes: Any) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**changes)
    for name, value in changes.items():
        setattr(endpoint, name, value)


def outdated(at: datetime) -> QuerySet[Webhook]:
    """Return the rows that are kept no longer: what was accepted, and what failed, each after its time."""
    accepted = Q(status=Status.SENT, created_at__lte=at - conf.retention["webhooks"])
    failed = Q(status=Status.FAILED, created_at__lte=at - conf.retention["failed_webhooks"])
    return Webhook.objects.filter(accepted | failed)


def purge(at: datetime) -> Iterator[int]:
    """Delete outdated rows, a chunk at a time; yield how many each chunk had."""
    seen = 0
    # Past what was seen: a chunk that began at the first row would walk again over all that failed and is still kept.
    while chunk := list(outdated(at).filter(pk__gt=seen).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        seen = chunk[-1]
        # The condition again: staff may just have sent one of them anew.
        deleted, _by_model = outdated(at).filter(pk__in=chunk).delete()
        yield deleted


def forget(participant_id: int) -> int:
    """Delete what tells of a participant by their external id; return how many."""
    deleted, _by_model = Webhook.objects.filter(subject="participant", subject_id=str(participant_id)).delete()
    return deleted
