"""Erasing a participant (LGPD Art. 16 and 18, VI): what was spent stays, under a pseudonym; who spent it does not.

Each step is a transaction of its own and may be done again, so that an erasure that was broken off is ended by running
it once more. The name by which the participant is found goes last.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import quote

from django.apps import apps
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.conf import conf
from twofa.exceptions import PolicyRefused
from twofa.flows import changes, document_files, outbox, redactions
from twofa.flows.history import Actor, Trail, explained
from twofa.models import (
    ActorKind,
    Challenge,
    Delivery,
    Device,
    DocumentFile,
    Event,
    IdempotencyRecord,
    IdentityDocument,
    Method,
    Participant,
    Redemption,
)
from twofa.models.challenge import DIGESTS_OF_ORDERS
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

PREFIX = "erased-"
CHUNK = 200
TELLING = 6
"""An external id that is shorter occurs in the keys of other requests by chance."""
CODES = frozenset(
    {None, "", "erased", "details_changed", "device_reset", "device_revoked", *IdentityDocument.Reason.values}
)
"""Reasons that a program gave. All others staff have written, as they liked: a name may be among them."""


@dataclass
class Erasure:
    """What one run did: the pseudonym that is left, and how many files the storage has still to erase."""

    pseudonym: str
    counts: dict[str, int] = field(default_factory=dict)
    files_left: int = 0


@sensitive_variables()
def erase(participant: Participant, *, actor: Actor, reason: str = "") -> Erasure:
    """Erase who a participant is, everywhere but in the host's own tables; ``participant_erased`` is for those.

    Raises: PolicyRefused while points are set aside for them, where the reason names them, or where events about them
    are not what was sealed.
    """
    with correlation.bound(correlation.current() or correlation.accept(None)):
        if participant.erased_at is not None:
            return Erasure(participant.external_id)
        person = _Person.of(participant)
        person.ensure_unnamed(reason)
        _close(participant)
        counts = {
            "challenges": _end_challenges(participant, actor),
            "documents": _forget_documents(participant),
            "devices": _forget_devices(participant, actor),
            "messages": _forget_messages(participant, actor),
        }
        document_files.erase_of(participant)
        counts["idempotency_records"] = _forget_answers(person)
        counts["admin_log"] = _forget_admin_log(participant)
        counts["events"] = _redact_events(participant, person, actor)
        left = DocumentFile.objects.filter(participant=participant, erased_at__isnull=True).count()
        erasure = Erasure(f"{PREFIX}{secrets.token_hex(16)}", counts, left)
        _rename(participant, erasure, actor, reason)
    return erasure


@dataclass(frozen=True)
class _Person:
    """The texts by which a participant is known."""

    external_id: str
    texts: tuple[str, ...]
    keys: tuple[str, ...]
    """Ids of what is theirs and may be in an answer that is still stored."""

    @classmethod
    @sensitive_variables()
    def of(cls, participant: Participant) -> _Person:
        devices = Device.objects.filter(participant=participant)
        since = now() - conf.retention["idempotency"]
        owned = [
            devices.values_list("uuid", flat=True),
            IdentityDocument.objects.filter(participant=participant).values_list("pk", flat=True),
            Redemption.objects.filter(participant=participant, updated_at__gte=since).values_list("pk", flat=True),
            Challenge.objects.filter(participant=participant, ended_at__gte=since).values_list("pk", flat=True),
            Challenge.objects.filter(participant=participant, ended_at=None).values_list("pk", flat=True),
        ]
        return cls(
            participant.external_id,
            (participant.name, participant.document_number, *devices.values_list("address", flat=True)),
            tuple(str(key) for keys in owned for key in keys),
        )

    @sensitive_variables()
    def ensure_unnamed(self, text: str) -> None:
        """Raise where a text that will be kept has the person in it. Raises: PolicyRefused."""
        if any(_has(text, given) for given in (self.external_id, *self.texts) if given):
            raise PolicyRefused(
                _("The reason is kept. Do not name the participant in it: give the number of a request.")
            )

    @sensitive_variables()
    def answers(self) -> Iterator[Q]:
        """Yield conditions of stored answers that hold the person; an id is matched as a whole, however short it is."""
        place, quoted = f"/participants/{self.external_id}/", f"/participants/{quote(self.external_id, safe='')}/"
        value = json.dumps(self.external_id)
        yield Q(path__contains=place) | Q(body__contains=place) | Q(body__contains=quoted) | Q(body__contains=value)
        if len(self.external_id) >= TELLING:
            yield Q(key__contains=self.external_id)
        for key in self.keys:
            yield Q(path__contains=key) | Q(key__contains=key) | Q(body__contains=key)


def _has(text: str, given: str) -> bool:
    """Tell whether a text has another one in it, as a word of its own."""
    return re.search(rf"(?<![\w@+-]){re.escape(given)}(?![\w@+-])", text, re.IGNORECASE) is not None


def _close(participant: Participant) -> None:
    """Let nothing begin any more; refused while something is not ended. Raises: PolicyRefused."""
    with transaction.atomic():
        # Under the lock that every checkout takes: none that has begun is overlooked.
        Participant.objects.select_for_update(no_key=True).get(pk=participant.pk)
        rows = Redemption.objects.filter(participant=participant)
        open_ = rows.filter(Q(points=Redemption.Points.RESERVED) | ~Q(status__in=Redemption.FINAL))
        held = [str(pk) for pk in open_.order_by("pk").values_list("pk", flat=True)]
        if held:
            raise PolicyRefused(
                _("Points are set aside for this participant. End these redemptions first: %(redemptions)s")
                % {"redemptions": ", ".join(held)}
            )
        Participant.objects.filter(pk=participant.pk).update(is_active=False, two_factor_method=Method.NONE)


def _end_challenges(participant: Participant, actor: Actor) -> int:
    ended = 0
    open_ = Challenge.objects.filter(participant=participant, status=Challenge.Status.PENDING)
    for challenge in open_.order_by("pk"):
        with transaction.atomic():
            changes.end_challenge(challenge, actor=actor, reason="erased")
        ended += 1
    return ended


def _forget_documents(participant: Participant) -> int:
    """Forget the keys of files, so that no backup of them can be read, and what staff wrote."""
    documents = IdentityDocument.objects.filter(participant=participant)
    with transaction.atomic():
        at = now()
        # Not those of an upload that is just under way: it will be refused, and take away what it has stored itself.
        document_files.shred(DocumentFile.objects.filter(document__in=documents), at)
        # Out of the queue: there is nothing left to look at.
        documents.waiting().update(replaced_at=at, claimed_by=None, claimed_until=None)
        for document in documents.only("pk"):
            # Random and not empty: the same for all would be the same picture of all.
            documents.filter(pk=document.pk).update(
                comment="", internal_comment="", fingerprint=secrets.token_bytes(32), fingerprint_kid=""
            )
        return documents.count()


def _forget_devices(participant: Participant, actor: Actor) -> int:
    """Revoke the devices without a notice: who asked to be forgotten is not written to."""
    devices = Device.objects.filter(participant=participant)
    with transaction.atomic():
        trail = Trail(actor, now())
        for device in devices.select_for_update(no_key=True):
            if device.status != Device.Status.REVOKED:
                device.change(status=Device.Status.REVOKED, confirmed=False, is_default=False, revoked_at=trail.at)
                trail.add("device.revoked", device, reason="erased")
        trail.write()
        return devices.update(name="", address="", destination="")


def _forget_messages(participant: Participant, actor: Actor) -> int:
    blank = {"address": "", "destination": ""}
    deliveries = Delivery.objects.filter(Q(participant=participant) | Q(challenge__participant=participant))
    with transaction.atomic():
        trail = Trail(actor, now())
        for row in deliveries.open().select_for_update(no_key=True, of=("self",)).select_related("challenge"):
            row.destination = ""
            outbox.move(row, trail, Delivery.Status.SUPERSEDED, reason="erased")
        trail.write()
    count = _update(deliveries, **blank, context={}, early_report=None, provider_message_id="")
    challenges = Challenge.objects.filter(participant=participant)
    _update(challenges, **blank, accepted=None)
    _update(challenges.exclude(purpose__in=DIGESTS_OF_ORDERS), transaction_digest=b"")
    # What a backend or staff wrote of a failure; its code stays. No digest covers it.
    _update(Redemption.objects.filter(participant=participant), failure_detail="")
    return count


def _update(rows: models.QuerySet[Any], **changes: Any) -> int:
    """Change all rows, a chunk to a transaction."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    chunks = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
    return sum(rows.model._base_manager.filter(pk__in=chunk).update(**changes) for chunk in chunks)


@sensitive_variables()
def _forget_answers(person: _Person) -> int:
    """Delete stored answers in whose address, key or body the person is, or something of theirs."""
    conditions = list(person.answers())
    gone = 0
    for start in range(0, len(conditions), CHUNK):
        holding = reduce(or_, conditions[start : start + CHUNK])
        gone += IdempotencyRecord.objects.filter(holding).delete()[0]
    return gone


@sensitive_variables()
def _forget_admin_log(participant: Participant) -> int:
    """Erase what Django's admin keeps of our rows: the text of each row as it was, and what was said of its change."""
    if not apps.is_installed("django.contrib.admin"):
        return 0
    log = apps.get_model("admin", "LogEntry")._base_manager
    owned: tuple[Any, ...] = (Device, Challenge, Delivery, Redemption, IdentityDocument)
    about: dict[Any, Any] = {model: model.objects.filter(participant=participant) for model in owned}
    about[Participant] = Participant.objects.filter(pk=participant.pk)
    changed = 0
    for model, rows in about.items():
        keys = [str(key) for key in rows.values_list("pk", flat=True)]
        entries = log.filter(
            content_type__app_label=model._meta.app_label,
            content_type__model=model._meta.model_name,
            object_id__in=keys,
        )
        changed += entries.update(object_repr=f"{model._meta.model_name} (erased)", change_message="")
    return changed


@sensitive_variables()
def _redact_events(participant: Participant, person: _Person, actor: Actor) -> int:
    """Take the person out of events: masked addresses, what staff wrote about them, and their own name as the actor."""
    rows = Event.objects.filter(
        Q(participant=participant.pk)
        | Q(actor_kind=ActorKind.PARTICIPANT, actor=person.external_id)
        # A search that was exported is kept with its event, and names no participant but by the text.
        | Q(type="redemptions.exported", data__filters__icontains=person.external_id)
    )
    ids = list(rows.order_by("pk").values_list("pk", flat=True))

    def scrub(event: dict[str, Any]) -> dict[str, Any]:
        own = event["actor_kind"] == ActorKind.PARTICIPANT and event["actor"] == person.external_id
        return {"actor": "" if own else event["actor"], "data": _scrubbed(event, person)}

    return redactions.redact(ids, scrub, basis="erasure", actor=actor)


def _scrubbed(event: dict[str, Any], person: _Person) -> dict[str, Any]:
    data: dict[str, Any] = dict(event["data"])
    if data.get("destination"):
        data["destination"] = ""
    if event["actor_kind"] == ActorKind.STAFF and data.get("reason") not in CODES:
        data["reason"] = ""
    if event["type"] == "redemptions.exported":
        data["filters"] = ["" if _has(text, person.external_id) else text for text in data["filters"]]
    return data


def _rename(participant: Participant, erasure: Erasure, actor: Actor, reason: str) -> None:
    """Give the participant the pseudonym, tell the trail, and then the host."""
    with transaction.atomic():
        row = Participant.objects.select_for_update(no_key=True).get(pk=participant.pk)
        row.external_id = row.name = erasure.pseudonym
        row.document_number = row.locale = ""
        row.erased_at = now()
        row.save(update_fields=["external_id", "name", "document_number", "locale", "erased_at", "updated_at"])
        trail = Trail(actor, row.erased_at)
        trail.add("participant.erased", row, files_left=erasure.files_left, **explained(reason))
        trail.write()
