"""Onboarding: what a campaign demands of a participant before a redemption may be approved, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from twofa.exceptions import OnboardingIncomplete
from twofa.flows import destinations, document_files
from twofa.flows.history import Trail
from twofa.flows.next_actions import HELD, NONE, REVIEW_POLL_SECONDS, NextAction
from twofa.models import (
    Authenticator,
    Campaign,
    Device,
    DocumentFile,
    IdentityDocument,
    Method,
    Participant,
    TwoFactorMode,
)
from twofa.models.clock import now

ANY_DOCUMENT = ""
"""What a campaign asks for that demands identity and names no kind: any one document."""

MISSING, UNDER_REVIEW, REJECTED, APPROVED = "missing", "under_review", "rejected", "approved"


@dataclass(frozen=True)
class Step:
    """One line of the checklist: a requirement, and how far it is; for a document, the one that decides it."""

    requirement: str
    status: str
    document: IdentityDocument | None = None
    cools_off_until: datetime | None = None
    is_held: bool = False

    @property
    def may_retry(self) -> bool:
        """Tell whether something can be sent for it: also in the place of what waits, and not after a last word."""
        if self.status == REJECTED:
            return self.document is not None and not self.document.is_final
        return self.status != APPROVED and self.cools_off_until is None and not self.is_held

    @property
    def is_due(self) -> bool:
        """Tell whether the participant has to do something about it."""
        return self.may_retry and self.status != UNDER_REVIEW


@dataclass(frozen=True)
class Onboarding:
    """What a participant must have before a redemption may be approved, step by step."""

    steps: list[Step]
    devices: list[Device]
    documents: list[IdentityDocument]

    @property
    def required(self) -> list[str]:
        """Return the names of all that is required."""
        return [step.requirement for step in self.steps]

    @property
    def missing(self) -> list[str]:
        """Return what the participant has still to do: what is under review is not theirs to do any more."""
        return [step.requirement for step in self.steps if step.status in (MISSING, REJECTED)]

    @property
    def status(self) -> str:
        """Return ``complete``, ``rejected`` for good, ``incomplete``, or ``under_review`` where all is handed in."""
        found = {step.status for step in self.steps}
        if any(step.status == REJECTED and not step.may_retry for step in self.steps):
            return "rejected"
        if found & {MISSING, REJECTED}:
            return "incomplete"
        return "under_review" if UNDER_REVIEW in found else "complete"

    @property
    def next_action(self) -> NextAction:
        """Return what to do next: send what is missing, or wait for staff or for a new device."""
        return _next_action(self.steps)


def _next_action(steps: Sequence[Step]) -> NextAction:
    if any(step.status == REJECTED and not step.may_retry for step in steps):
        return NONE
    if any(step.is_due for step in steps):
        return NextAction("onboarding")
    if any(step.is_held for step in steps):
        return HELD
    cooling = [step.cools_off_until for step in steps if step.cools_off_until is not None]
    if cooling:
        return NextAction("wait", available_at=max(cooling))
    if any(step.status == UNDER_REVIEW for step in steps):
        return NextAction("wait", poll_after=REVIEW_POLL_SECONDS)
    return NONE


def read(participant: Participant) -> Onboarding:
    """Return what the participant's campaign asks for, and how far they are; ``participant.campaign`` is loaded."""
    campaign = participant.campaign
    devices = list(Device.objects.living().filter(participant=participant))
    documents = list(IdentityDocument.objects.current().filter(participant=participant))
    steps = _device_steps(participant, devices) if _asks_device(participant) else []
    if any(step.status != APPROVED for step in steps):
        steps = _app_steps(participant) or steps
    return Onboarding([*steps, *_document_steps(campaign, documents)], devices, documents)


def _asks_device(participant: Participant) -> bool:
    mode = participant.campaign.two_factor_mode
    return mode == TwoFactorMode.REQUIRED or (
        mode == TwoFactorMode.OPTIONAL and participant.two_factor_method != Method.NONE
    )


def _app_steps(participant: Participant) -> list[Step]:
    """Return the step of an app that may approve, or may soon; none where the campaign or the person wants no such."""
    if not participant.campaign.unbound_devices_approve or participant.two_factor_method != Method.TOTP:
        return []
    app = Authenticator.objects.active().filter(participant=participant, held_at=None).first()
    if app is None:
        return []
    return [
        Step("device", MISSING, cools_off_until=app.approves_from)
        if app.is_cooling_off(now())
        else Step("device", APPROVED)
    ]


def _device_steps(participant: Participant, devices: Iterable[Device]) -> list[Step]:
    at = now()
    if any(device.is_usable(at) for device in devices):
        return [Step("device", APPROVED)]
    if any(device.is_held and device.status == Device.Status.ACTIVE for device in devices):
        return [Step("device", MISSING, is_held=True)]
    cooling = destinations.usable_at(devices, at)
    return [Step("device", MISSING, cools_off_until=cooling)]


def _document_steps(campaign: Campaign, documents: Sequence[IdentityDocument]) -> list[Step]:
    """Return a step for each document that the campaign asks for; ``documents`` are the newest first."""
    if not campaign.identity_required:
        return []
    return [_document_step(wanted, documents) for wanted in campaign.required_documents or [ANY_DOCUMENT]]


def _document_step(wanted: str, documents: Sequence[IdentityDocument]) -> Step:
    requirement = f"document:{wanted}" if wanted else "document"
    kind = wanted.partition(":")[0]
    closed = next((document for document in documents if document.is_refused_for_good and document.kind == kind), None)
    if closed is not None:
        # Whatever other side of it was approved: somebody took the paper for a forgery, or the person for another.
        return Step(requirement, REJECTED, closed)
    sent = [document for document in documents if not wanted or document.meets(wanted)]
    for document in sent:
        if document.is_valid:
            return Step(requirement, APPROVED, document)
    for document in sent:
        if document.is_waiting:
            return Step(requirement, UNDER_REVIEW, document)
    # The last word of staff: a refusal stands until another picture takes its place.
    refused = next((document for document in sent if document.decision == IdentityDocument.Decision.REJECTED), None)
    # Where any paper is taken, one that was refused for good leaves the others.
    if refused is not None and refused is sent[0] and not refused.is_final:
        return Step(requirement, REJECTED, refused)
    return Step(requirement, MISSING, sent[0] if sent else None)


def refusal(participant: Participant) -> OnboardingIncomplete | None:
    """Return why a redemption may not be approved, where the campaign demands an identity that is not proved yet.

    Read when a redemption is opened, and again before its token is judged: a document may be voided in between.
    """
    if not participant.campaign.identity_required:
        return None
    documents = list(IdentityDocument.objects.current().filter(participant=participant).only(*_JUDGED))
    steps = [step for step in _document_steps(participant.campaign, documents) if step.status != APPROVED]
    if not steps:
        return None
    return OnboardingIncomplete(missing=[step.requirement for step in steps], next_action=_next_action(steps))


_JUDGED = ("kind", "side", "status", "decision", "is_final", "replaced_at", "participant_id", "created_at")


def ask_again(participant: Participant, trail: Trail) -> None:
    """Ask for the identity once more, because staff took the participant's last device away.

    Whoever talks support into that registers their own phone next, and nothing that was proved before is theirs. So
    recovery takes what enrolment took (NIST SP 800-63B, 4.2; OWASP ASVS 6.4.4): what was approved ends, and what waits
    is not decided any more. Whether or not the campaign demands an identity now: it may tomorrow.
    """
    void(participant, trail, reason="device_reset")
    for document in IdentityDocument.objects.waiting().filter(participant=participant).select_for_update(no_key=True):
        withdraw(document, trail)
    note(participant, trail)


def withdraw(document: IdentityDocument, trail: Trail) -> None:
    """Take what waits out of the queue: nobody should have to decide it any more, and its picture goes."""
    document.move(replaced_at=trail.at, claimed_by=None, claimed_until=None)
    document_files.shred(DocumentFile.objects.filter(document=document), trail.at)
    trail.add("document.replaced", document, document=str(document.pk))


def void(participant: Participant, trail: Trail, *, reason: str) -> None:
    """Void what was approved: it says nothing any more about who the participant is now."""
    approved = IdentityDocument.objects.filter(participant=participant, decision=IdentityDocument.Decision.APPROVED)
    for document in approved.select_for_update(no_key=True):
        lapse(document, trail, reason=reason)


def lapse(document: IdentityDocument, trail: Trail, *, reason: str) -> None:
    """Take an approval back; where the file is erased already, the status goes on to say that."""
    expired = IdentityDocument.Status.EXPIRED
    state = {} if document.status == IdentityDocument.Status.PURGED else {"status": expired}
    document.move(decision=expired, **state)
    trail.add("document.expired", document, document=str(document.pk), reason=reason)


def note(participant: Participant, trail: Trail) -> None:
    """Note when a participant has all that the campaign asks for, once; called with the participant locked."""
    # A device that cools off lacks nothing but time, and one that is held nothing that the participant could do.
    is_complete = all(
        step.status == APPROVED or step.cools_off_until or step.is_held for step in read(participant).steps
    )
    if is_complete == (participant.onboarded_at is not None):
        return
    participant.onboarded_at = trail.at if is_complete else None
    participant.save(update_fields=["onboarded_at"])
    if is_complete:
        trail.add("participant.onboarded", participant)
