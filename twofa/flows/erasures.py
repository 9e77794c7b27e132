"""Erasing a participant (LGPD Art. 16 and 18, VI): what was spent stays, under a pseudonym; who spent it does not.

Each step is a transaction of its own and may be done again, so that an erasure that was broken off is ended by running
it once more. The name by which the participant is found goes last.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.apps import apps
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa import correlation
from twofa.conf import conf
from twofa.exceptions import PolicyRefused
from twofa.flows import (
    access_tokens,
    approvers,
    changes,
    document_files,
    facts,
    forgetting,
    mentions,
    participants,
    redactions,
    webhooks,
)
from twofa.flows.history import Actor, Trail, explained
from twofa.models import (
    ActorKind,
    Authenticator,
    Case,
    Challenge,
    Delivery,
    Device,
    DocumentFile,
    Event,
    Failure,
    IdempotencyRecord,
    IdentityDocument,
    Method,
    Participant,
    Purpose,
    Redemption,
)
from twofa.models.clock import now

logger = correlation.get_logger(__name__)

PREFIX = "erased-"
PERSONAL = ("external_id", "name", "document_number", "locale", "user")
CODES = frozenset(
    {None, "", "erased", "details_changed", "device_reset", *Failure.values, *IdentityDocument.Reason.values}
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

    Raises: PolicyRefused while points are set aside or a case is open for them, where the reason names them, or where
    events about them are not what was sealed; KeyMissing, before anything is done, where nobody can say that without a
    key.
    """
    with correlation.bound(correlation.current() or correlation.accept(None)):
        if participant.erased_at is not None:
            return Erasure(participant.external_id)
        person = _Person.of(participant)
        person.ensure_unnamed(reason)
        redactions.ensure_keys(_told_of(participant, person), person.scrubbed)
        if (row := _close(participant, actor)).erased_at is not None:
            return Erasure(row.external_id)
        counts = {
            "entitlements": approvers.forget(participant, actor=actor),
            "challenges": _end_challenges(participant, actor),
            "documents": forgetting.forget_documents(participant, actor),
            "devices": forgetting.forget_devices(participant, actor),
            "messages": forgetting.forget_messages(participant, actor),
        }
        forgetting.forget_authenticators(participant, actor)
        document_files.erase_of(participant)
        counts["idempotency_records"] = _forget_answers(person)
        counts["admin_log"] = _forget_admin_log(participant)
        counts["events"] = _redact_events(participant, person, actor)
        left = DocumentFile.objects.filter(participant=participant, erased_at__isnull=True).count()
        erasure = Erasure(f"{PREFIX}{secrets.token_hex(16)}", counts, left)
        _rename(participant, person, erasure, actor, reason)
        # Again: until then the name was there to be read, and a call may have been answered with it.
        _forget_answers(person)
    return erasure


@dataclass(frozen=True)
class _Person:
    """The texts by which a participant is known."""

    pk: int
    campaign: str
    external_id: str
    name: str
    handles: tuple[str, ...]
    keys: tuple[str, ...]
    """Ids of what is theirs and may be in an answer that is still stored."""
    answered: frozenset[UUID] = frozenset()
    """Challenges that were nobody's or another's and went to their contacts: events of these have a mask of theirs."""

    @classmethod
    @sensitive_variables()
    def of(cls, participant: Participant) -> _Person:
        """Read them before anything is erased: afterwards there is nothing left to search by."""
        devices = Device.objects.filter(participant=participant)
        since = now() - conf.retention["idempotency"]
        answered = approvers.answered_by(participant)
        # The verification that they began with: most of its events were written before they were anybody.
        began = Q(participant=participant, purpose=Purpose.CONTACT)
        owned = [
            devices.values_list("uuid", flat=True),
            IdentityDocument.objects.filter(participant=participant).values_list("pk", flat=True),
            Redemption.objects.filter(participant=participant, updated_at__gte=since).values_list("pk", flat=True),
            Challenge.objects.filter(participant=participant, ended_at__gte=since).values_list("pk", flat=True),
            Challenge.objects.filter(participant=participant, ended_at=None).values_list("pk", flat=True),
            # What others redeem and they approve: its answers say where the token went, masked.
            Redemption.objects.filter(approver=participant, updated_at__gte=since).values_list("pk", flat=True),
            Challenge.objects.filter(approvers.answered_by(participant), ended_at__gte=since).values_list(
                "pk", flat=True
            ),
        ]
        return cls(
            participant.pk,
            participant.campaign.slug,
            participant.external_id,
            participant.name,
            (participant.external_id, participant.document_number, *devices.values_list("address", flat=True)),
            tuple(str(key) for keys in owned for key in keys),
            frozenset(Challenge.objects.filter(answered | began).values_list("pk", flat=True)),
        )

    @sensitive_variables()
    def ensure_unnamed(self, text: str) -> None:
        """Raise where a text that will be kept has the person in it. Raises: PolicyRefused."""
        if mentions.has_controls(text):
            raise PolicyRefused(_("The reason is kept, on one line: it has characters that cannot be seen."))
        if mentions.is_named(text, name=self.name, handles=self.handles):
            raise PolicyRefused(
                _("The reason is kept. Do not name the participant in it: give the number of a request.")
            )

    @sensitive_variables()
    def answers(self) -> Iterator[Q]:
        """Yield conditions of stored answers that hold the person.

        An external id is theirs in their campaign alone, and any short text ("status") stands in the answers of others.
        So it counts only where it is the id: in a path of the campaign, or in a body of the campaign by its key.
        """
        for name in {self.external_id, quote(self.external_id, safe="")}:
            place = f"/campaigns/{self.campaign}/participants/{name}/"
            yield Q(path__contains=place) | Q(body__contains=place)
        ids = Q(body__contains=_member("participant", self.external_id))
        ids |= Q(body__contains=_member("external_id", self.external_id))
        yield ids & Q(body__contains=_member("campaign", self.campaign))
        for key in self.keys:
            yield Q(path__contains=key) | Q(body__contains=key)

    def scrubbed(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return what an event says without the person: masks, what staff wrote of them, their id as an actor's."""
        data: dict[str, Any] = dict(event["data"])
        if event["type"] == "redemptions.exported":
            data["filters"] = ["" if self._is_searched(text) else text for text in data["filters"]]
        if event["challenge_id"] in self.answered and data.get("destination"):
            data["destination"] = ""
        if event["participant_id"] != self.pk:
            return {"data": data}
        if data.get("destination"):
            data["destination"] = ""
        if event["actor_kind"] == ActorKind.STAFF and data.get("reason") not in CODES:
            data["reason"] = ""
        own = event["actor_kind"] == ActorKind.PARTICIPANT and event["actor"] == self.external_id
        return {"actor": "" if own else event["actor"], "data": data}

    def _is_searched(self, filter_: str) -> bool:
        """Tell whether a filter is a search for the person. Any other value that equals their id is no id of theirs."""
        name, _sign, value = filter_.partition("=")
        return name == "q" and self.external_id in value.split()


def _member(name: str, value: str) -> str:
    """Return a member of an object as the API writes it."""
    return f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}"


def _close(participant: Participant, actor: Actor) -> Participant:
    """Let nothing begin any more, and tell so; return the row as it was found.

    Raises: PolicyRefused while something is not ended.
    """
    with transaction.atomic():
        # Under the lock that every checkout takes: none that has begun is overlooked.
        row = forgetting.locked(participant)
        # And in the turn of those that send them what others ask for.
        facts.take_turn(facts.recipient_turn(participant.pk))
        rows = Redemption.objects.filter(participant=participant)
        open_ = rows.filter(Q(points=Redemption.Points.RESERVED) | ~Q(status__in=Redemption.FINAL))
        held = [str(pk) for pk in open_.order_by("pk").values_list("pk", flat=True)]
        if held:
            raise PolicyRefused(
                _("Points are set aside for this participant. End these redemptions first: %(redemptions)s")
                % {"redemptions": ", ".join(held)}
            )
        cases = Case.objects.filter(participant=participant, status=Case.Status.OPEN).order_by("pk")
        if cases:
            raise PolicyRefused(
                _("Somebody reported what was done as this participant. Close these cases first: %(cases)s")
                % {"cases": ", ".join(map(str, cases))}
            )
        begun = Event.objects.filter(participant=row.pk, type="participant.erasure_begun").exists()
        if row.erased_at is not None or (begun and not row.is_active):
            return row
        Participant.objects.filter(pk=row.pk).update(is_active=False, two_factor_method=Method.NONE)
        # Here and not only at the end: one that is broken off has closed a participant all the same.
        trail = Trail(actor, now())
        trail.add("participant.erasure_begun", row)
        trail.write()
    return row


def _end_challenges(participant: Participant, actor: Actor) -> int:
    ended = 0
    open_ = Challenge.objects.filter(participant=participant, status=Challenge.Status.PENDING)
    for challenge in open_.order_by("pk"):
        with transaction.atomic():
            changes.end_challenge(challenge, actor=actor, reason="erased")
        ended += 1
    return ended


@sensitive_variables()
def _forget_answers(person: _Person) -> int:
    """Delete stored answers in whose address, key or body the person is, or something of theirs."""
    conditions = list(person.answers())
    gone = 0
    for start in range(0, len(conditions), forgetting.CHUNK):
        holding = reduce(or_, conditions[start : start + forgetting.CHUNK])
        gone += IdempotencyRecord.objects.filter(holding).delete()[0]
    return gone


@sensitive_variables()
def _forget_admin_log(participant: Participant) -> int:
    """Erase what Django's admin keeps of our rows: the text of each row as it was, and what was said of its change."""
    if not apps.is_installed("django.contrib.admin"):
        return 0
    log = apps.get_model("admin", "LogEntry")._base_manager
    owned: tuple[Any, ...] = (Device, Challenge, Delivery, Redemption, IdentityDocument, Case)
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


def _told_of(participant: Participant, person: _Person) -> list[int]:
    """Return the ids of events in which the person may be."""
    # A search that was exported is kept with its event, and names no participant but by the text.
    searched = Q(type="redemptions.exported", data__filters__icontains=person.external_id)
    about = Q(participant=participant.pk) | Q(challenge__in=person.answered)
    rows = Event.objects.filter(about | searched)
    return list(rows.order_by("pk").values_list("pk", flat=True))


@sensitive_variables()
def _redact_events(participant: Participant, person: _Person, actor: Actor) -> int:
    """Take the person out of events."""
    return redactions.redact(_told_of(participant, person), person.scrubbed, basis="erasure", actor=actor)


def _rename(participant: Participant, person: _Person, erasure: Erasure, actor: Actor, reason: str) -> None:
    """Give the participant the pseudonym and a user of nobody's, tell the trail, and then the host.

    The user that they had leads from the ledger to a person, and is free for the same member to enroll again.
    """
    with transaction.atomic():
        row = forgetting.locked(participant)
        if row.erased_at is not None:
            # By another run, while this one waited: its pseudonym was printed, and must not be replaced.
            erasure.pseudonym = row.external_id
            return
        # Again, under the lock of all who write about them: what was written since is the last.
        erasure.counts["events"] += _redact_events(row, person, actor)
        user = row.user
        row.external_id = row.name = erasure.pseudonym
        row.document_number = row.locale = ""
        placeholder: Any = participants.create_user(
            campaign=row.campaign, external_id=row.external_id, name=row.name, locale=row.locale
        )
        row.user = placeholder
        row.erased_at = now()
        row.save(update_fields=[*PERSONAL, "erased_at", "updated_at"])
        Device.objects.filter(participant=row).update(user=row.user)
        Authenticator.objects.filter(participant=row).update(user=row.user)
        erasure.counts["webhooks"] = webhooks.forget(row.pk)
        erasure.counts["access_tokens"] = access_tokens.forget_of(row)
        trail = Trail(actor, row.erased_at)
        trail.add("participant.erased", row, files_left=erasure.files_left, **explained(reason))
        trail.carry(user=user)
        trail.write()
