"""Cases: what staff do about a report "it was not me", and what becomes of what they wrote."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.conf import conf
from twofa.exceptions import Invalid, PolicyRefused, WrongState
from twofa.flows.history import Actor, Trail
from twofa.models import Case, Participant
from twofa.models.clock import now


@sensitive_variables("note")
def close(case: Case, *, by: Any, actor: Actor, outcome: str, note: str) -> Case:
    """Close a case with what staff found, and how they know.

    The note stays with the case and is in no event: it is about a person, and the trail is kept longer.

    Raises: WrongState where it is closed already; Invalid; PolicyRefused where it is about whoever closes it, and while
    its device is held on its account, for nobody would look at that device again.
    """
    _ensure_explained(outcome, note)
    people = {case.participant.user_id} | ({case.device.participant.user_id} if case.device is not None else set())
    if by.pk in people:
        raise PolicyRefused(_("This case is about you: somebody else closes it."))
    with transaction.atomic():
        Participant.objects.select_for_update(no_key=True).get(pk=case.participant_id)
        locked = Case.objects.select_for_update(no_key=True, of=("self",)).select_related("device").get(pk=case.pk)
        if locked.status != Case.Status.OPEN:
            raise WrongState
        if holds_alone(locked):
            raise PolicyRefused(_("Its device is still held. Release it or reset it first."))
        trail = Trail(actor, now())
        locked.change(status=Case.Status.CLOSED, outcome=outcome, note=note.strip(), closed_at=trail.at, closed_by=by)
        about: Sequence[Any] = [locked] if locked.device is None else [locked, locked.device]
        trail.add("case.closed", *about, case=str(locked.pk), outcome=outcome)
        trail.write()
    return locked


def _ensure_explained(outcome: str, note: str) -> None:
    if outcome not in Case.Outcome.values:
        raise Invalid.field("outcome", "invalid", _("Choose what you found."))
    if not note.strip():
        raise Invalid.field("note", "required", _("Say how you know."))


def holds_alone(case: Case) -> bool:
    """Tell whether the device of a case is held and no other open case is about it: then this one stays open."""
    if case.device is None or not case.device.is_held:
        return False
    others = Case.objects.filter(device=case.device, status=Case.Status.OPEN).exclude(pk=case.pk)
    return not others.exists()


def opened() -> QuerySet[Case]:
    """Return what waits for staff: first what came too late to be stopped, then whoever has waited longest."""
    return Case.objects.filter(status=Case.Status.OPEN).order_by("-too_late", "pk")


def noted_before(at: datetime) -> QuerySet[Case]:
    """Return closed cases whose note is kept longer than its purpose needs."""
    return Case.objects.exclude(note="").filter(closed_at__lte=at - conf.retention["cases"])
