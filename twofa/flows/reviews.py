"""Reviews: a person looks at a document and decides. Every look has a name, and nobody decides about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import Invalid, NotFound, PolicyRefused, WrongState
from twofa.flows import document_files, notices, onboarding
from twofa.flows.history import Actor, Trail
from twofa.models import CLAIM_LIFE, Campaign, DocumentFile, Event, IdentityDocument, Participant
from twofa.models.clock import now

Status, Reason = IdentityDocument.Status, IdentityDocument.Reason

VIEWED = "document.viewed"
TRIES = 20
"""How many participants are asked for before somebody is told that all others are being reviewed."""


@dataclass(frozen=True)
class Ruling:
    """What a reviewer says about one document. ``comment`` is for the applicant, ``internal_comment`` for staff."""

    approve: bool
    reason: str = ""
    comment: str = ""
    internal_comment: str = ""
    is_final: bool = False


def claim(participant: Participant, *, reviewer: Any, actor: Actor) -> datetime | None:
    """Take what waits of a participant for ``CLAIM_LIFE``, and return until when; None where nothing waits.

    Raises: PolicyRefused where somebody else reviews it now, or where it is the reviewer's own.
    """
    _ensure_not_own(participant, reviewer, actor)
    with transaction.atomic():
        _locked(participant.pk)
        at = now()
        waiting = list(_waiting(participant).select_related("claimed_by"))
        _ensure_free(waiting, reviewer, at)
        if not waiting:
            return None
        is_new = any(document.holder(at) is None for document in waiting)
        until = at + CLAIM_LIFE
        _waiting(participant).update(claimed_by=reviewer, claimed_until=until)
        if is_new:
            trail = Trail(actor, at)
            trail.add("document.claimed", participant, documents=len(waiting))
            trail.write()
    return until


def claim_next(
    *, reviewer: Any, actor: Actor, campaign: Campaign | None = None, leave: Participant | None = None
) -> Participant | None:
    """Take the participant who has waited longest, and return them; None where nobody waits for this reviewer.

    ``leave`` is whom the reviewer turns away from: given back, and passed over, so that the next one is another one.
    Of two reviewers who ask at once each gets another participant: whoever comes second looks again.

    Raises: PolicyRefused where others were faster each time.
    """
    after = None if leave is None else _waiting(leave).order_by("created_at", "id").first()
    if leave is not None:
        release(leave, reviewer=reviewer)
    refusal = None
    for _try in range(TRIES):
        found = _oldest(_free_for(reviewer, campaign), after)
        if found is None:
            return None
        try:
            if claim(found, reviewer=reviewer, actor=actor) is not None:
                return found
        except PolicyRefused as error:
            refusal = error
    raise refusal or PolicyRefused(_("Others were faster. Try again."))


def _oldest(rows: QuerySet[IdentityDocument], after: IdentityDocument | None) -> Participant | None:
    """Return whose document is the oldest; the first one behind ``after``, or from the start where there is none."""
    rows = rows.select_related("participant").order_by("created_at", "id")
    if after is not None:
        rows = rows.exclude(participant=after.participant_id)
        behind = rows.filter(Q(created_at__gt=after.created_at) | Q(created_at=after.created_at, id__gt=after.pk))
        found = behind.first() or rows.first()
    else:
        found = rows.first()
    return None if found is None else found.participant


def _free_for(reviewer: Any, campaign: Campaign | None) -> QuerySet[IdentityDocument]:
    """Return what waits and is neither one's own nor in the hands of somebody else."""
    in_hands = Q(claimed_until__gt=now()) & ~Q(claimed_by=reviewer)
    others = IdentityDocument.objects.waiting().filter(in_hands, participant=OuterRef("participant"))
    rows = IdentityDocument.objects.waiting().exclude(participant__user=reviewer).filter(~Exists(others))
    return rows if campaign is None else rows.filter(campaign=campaign)


def release(participant: Participant, *, reviewer: Any) -> None:
    """Give back what was claimed and not decided."""
    _waiting(participant).filter(claimed_by=reviewer).update(claimed_by=None, claimed_until=None)


def decide(pk: UUID, decision: Ruling, *, seen: str, reviewer: Any, actor: Actor) -> IdentityDocument:
    """Decide one document. Of two at once, one decides, and the other is told so.

    ``seen`` is :func:`declared` of what the reviewer had beside the picture: if the participant has changed it since,
    the approval would be for a name that nobody compared.

    Raises: NotFound, WrongState, PolicyRefused; Invalid, of ``seen`` after such a change, or of the decision.
    """
    document = _find(pk)
    _ensure_not_own(document.participant, reviewer, actor)
    ensure_explained(decision)
    with transaction.atomic():
        participant = _locked(document.participant_id)
        document = _locked_document(pk)
        document.participant = participant
        if not document.is_waiting:
            raise WrongState
        at = now()
        _ensure_free([document], reviewer, at)
        if document.claimed_by_id != reviewer.pk:
            raise PolicyRefused(
                _("Begin the review first, or take what arrived since: nobody decides what they have not opened.")
            )
        if decision.approve:
            _ensure_looked(document, actor)
        if decision.approve and seen != declared(participant):
            changed = _(
                "The participant has changed their name or document number meanwhile. Compare it with the new one."
            )
            raise Invalid.field("seen", "declared_changed", changed)
        trail = Trail(actor, at)
        _move(document, decision, reviewer, trail)
        notices.of_document(document, participant, trail)
        # Whoever decides is at work: what else waits of this participant stays theirs.
        _waiting(participant).filter(claimed_by=reviewer).update(claimed_until=at + CLAIM_LIFE)
        onboarding.note(participant, trail)
        trail.write()
    return document


def ensure_explained(decision: Ruling) -> None:
    """Raise where a rejection does not tell the applicant why: by a reason, or by words where the reason says nothing.

    Raises: Invalid.
    """
    if decision.approve:
        return
    if decision.reason not in Reason.values:
        raise Invalid.field("reason", "required", _("Say why: choose one of the reasons."))
    if decision.reason == Reason.OTHER and not decision.comment.strip():
        raise Invalid.field("comment", "required", _("Tell the applicant what to do: “other” says nothing."))


def _ensure_looked(document: IdentityDocument, actor: Actor) -> None:
    """Raise where there is nothing to look at any more, or where this reviewer has not looked at each page.

    An approval says that a person has compared the picture. One that is sent without having opened it, by a script or
    in haste, would say it as well. Raises: PolicyRefused.
    """
    if document.files.kept().count() != document.pages:
        raise PolicyRefused(_("Its picture is not there any more. Ask for another one: reject it as unreadable."))
    looks = Event.objects.filter(participant=document.participant_id, type=VIEWED, actor=actor.label)
    pages = looks.filter(data__document=str(document.pk)).values_list("data__page", flat=True)
    if len(set(pages)) < document.pages:
        raise PolicyRefused(_("Look at each page of this document before you approve it."))


def _move(document: IdentityDocument, decision: Ruling, reviewer: Any, trail: Trail) -> None:
    status = Status.APPROVED if decision.approve else Status.REJECTED
    document.move(
        status=status,
        decision=status,
        reason="" if decision.approve else decision.reason,
        comment=decision.comment,
        internal_comment=decision.internal_comment,
        is_final=not decision.approve and decision.is_final,
        decided_by=reviewer,
        decided_at=trail.at,
        claimed_by=None,
        claimed_until=None,
    )
    # The coded reason and not the comments: the trail keeps no second copy of what may be personal.
    coded = {} if decision.approve else {"reason": decision.reason, "is_final": decision.is_final}
    trail.add(f"document.{status.value}", document, document=str(document.pk), **coded)


def revoke(document: IdentityDocument, *, reviewer: Any, actor: Actor, reason: str) -> IdentityDocument:
    """Take an approval back. Raises: WrongState, PolicyRefused."""
    _ensure_not_own(document.participant, reviewer, actor)
    with transaction.atomic():
        participant = _locked(document.participant_id)
        document = _locked_document(document.pk)
        if not document.is_valid:
            raise WrongState
        trail = Trail(actor, now())
        onboarding.lapse(document, trail, reason=reason)
        onboarding.note(participant, trail)
        trail.write()
    return document


def reopen(document: IdentityDocument, *, reviewer: Any, actor: Actor, reason: str) -> IdentityDocument:
    """Take other pictures again after a refusal for good: staff err, and nobody should be shut out by an error.

    Raises: WrongState, PolicyRefused.
    """
    _ensure_not_own(document.participant, reviewer, actor)
    with transaction.atomic():
        participant = _locked(document.participant_id)
        document = _locked_document(document.pk)
        if not document.is_refused_for_good:
            raise WrongState
        document.move(is_final=False)
        trail = Trail(actor, now())
        trail.add("document.reopened", document, document=str(document.pk), reason=reason)
        onboarding.note(participant, trail)
        trail.write()
    return document


@sensitive_variables()
def look(pk: UUID, page: int, *, reviewer: Any, actor: Actor) -> bytes:
    """Return one page as a JPEG, after an event that says who looked (LGPD Art. 37; OWASP ASVS 16.3.2).

    The event is committed before the first byte is read, so that nobody looks without one.

    Raises: NotFound, PolicyRefused, StorageUnavailable, DocumentUnreadable.
    """
    document = _find(pk)
    _ensure_not_own(document.participant, reviewer, actor)
    row = DocumentFile.objects.kept().filter(document=document, page=page).first()
    if row is None or row.wrapped_key is None:
        raise NotFound(resource="document")
    with transaction.atomic(durable=True):
        trail = Trail(actor, now())
        trail.add(VIEWED, document, document=str(pk), page=page)
        trail.write()
    return document_files.opened(row)


def declared(participant: Participant) -> str:
    """Return the mark of what a participant declared: two marks differ where name or document number do."""
    text = f"{len(participant.name)}:{participant.name}{participant.document_number}"
    return sha256(text.encode()).hexdigest()


def _find(pk: UUID) -> IdentityDocument:
    found = IdentityDocument.objects.select_related("participant").filter(pk=pk).first()
    if found is None:
        raise NotFound(resource="document")
    return found


def _locked(pk: int) -> Participant:
    rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
    locked = rows.get(pk=pk)
    locked.ensure_kept()
    return locked


def _locked_document(pk: UUID) -> IdentityDocument:
    return IdentityDocument.objects.select_for_update(no_key=True, of=("self",)).get(pk=pk)


def _waiting(participant: Participant) -> QuerySet[IdentityDocument]:
    return IdentityDocument.objects.waiting().filter(participant=participant)


def _ensure_free(documents: list[IdentityDocument], reviewer: Any, at: datetime) -> None:
    """Raise where somebody else began the review and has time left. Raises: PolicyRefused."""
    for document in documents:
        if document.holder(at) not in (None, reviewer.pk):
            raise PolicyRefused(
                _("%(name)s is reviewing this participant. Take another one from the queue.")
                % {"name": document.claimed_by.get_username() if document.claimed_by else ""}
            )


def _ensure_not_own(participant: Participant, reviewer: Any, actor: Actor) -> None:
    """Raise where the reviewer is the participant: an insider must not approve their own papers. Raises: PolicyRefused.

    The attempt is an event of its own, committed before the refusal, and sounds an alert.
    """
    if participant.user_id != reviewer.pk:
        return
    with transaction.atomic(durable=True):
        trail = Trail(actor, now())
        trail.add("document.self_review_refused", participant)
        trail.write()
    raise PolicyRefused(_("These are your own documents. Somebody else has to look at them."))
