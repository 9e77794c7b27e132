"""Four eyes: what loosens a policy is proposed by one member of staff, and takes effect when another one approves.

Tightening takes effect at once, because waiting for a second person would only prolong the danger. A superuser is one
person as well. What an outcome leaves behind (an event of a refusal, an expired proposal) is committed before it is
raised: a refusal that rolled its own trace back would be no trace.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.conf import conf
from twofa.exceptions import Invalid, PolicyRefused
from twofa.flows import campaigns
from twofa.flows.history import WORKER, Actor, Trail
from twofa.models import Campaign, Event, PolicyChange
from twofa.models.clock import now
from twofa.models.policy_change import PROPOSAL_LIFE

Status = PolicyChange.Status
MAY_APPROVE = "twofa.approve_policy"
_PASSWORD_REFUSED = "campaign.password_refused"
WRONG_PASSWORDS = 5
WINDOW = timedelta(minutes=15)
"""Within it a member of staff may be wrong five times; and who has no password here must have signed in within it."""


def submit(
    campaign: Campaign,
    *,
    by: Any,
    actor: Actor,
    changes: dict[str, Any],
    reason: str = "",
    expected_version: int | None = None,
) -> Campaign | PolicyChange:
    """Change a campaign, or propose the whole change where it loosens the policy and four eyes are asked for.

    ``by`` is the user, ``expected_version`` as in ``campaigns.update``.

    Raises: Invalid; PolicyRefused, as where another proposal for the campaign waits.
    """
    with transaction.atomic():
        edit = campaigns.edit(campaign, changes, expected_version=expected_version)
        if conf.four_eyes and edit.loosens:
            return _propose(edit, by, actor, reason)
        campaigns.save(edit, actor)
    return edit.campaign


def approve(change: PolicyChange, *, by: Any, actor: Actor, password: str = "") -> PolicyChange:
    """Let a proposal take effect, on the word of a second person who has just shown who they are.

    Raises: Invalid; PolicyRefused where it was decided, is outdated, or ``by`` may not decide.
    """
    return _raised(_approve(change.pk, by, actor, password))


def reject(change: PolicyChange, *, by: Any, actor: Actor, reason: str) -> PolicyChange:
    """Refuse a proposal. Raises: PolicyRefused."""
    return _raised(_close(change.pk, by, actor, Status.REJECTED, reason))


def withdraw(change: PolicyChange, *, by: Any, actor: Actor) -> PolicyChange:
    """Take one's own proposal back. Raises: PolicyRefused."""
    return _raised(_close(change.pk, by, actor, Status.WITHDRAWN, ""))


def expire_overdue(at: datetime, *, limit: int = 100) -> int:
    """End proposals that nobody decided on for a week; return how many."""
    overdue = PolicyChange.objects.filter(status=Status.PENDING, requested_at__lte=at - PROPOSAL_LIFE)
    expired = 0
    for pk in list(overdue.order_by("pk").values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            change = _locked(pk)
            if change.status == Status.PENDING:
                trail = Trail(WORKER, at)
                _expire(change, trail, cause="overdue")
                trail.write()
                expired += 1
    return expired


def _raised(outcome: PolicyChange | PolicyRefused) -> PolicyChange:
    if isinstance(outcome, PolicyRefused):
        raise outcome
    return outcome


def _propose(edit: campaigns.Edit, by: Any, actor: Actor, reason: str) -> PolicyChange:
    if not reason.strip():
        raise Invalid.field("reason", "required", _("Say why: a second person must agree to this."))
    trail = Trail(actor, now())
    _make_room(edit.original, trail)
    change = PolicyChange.objects.create(
        campaign=edit.original,
        policy_version=edit.original.policy_version,
        before=edit.before,
        after=edit.after,
        loosens=edit.loosens,
        reason=reason.strip(),
        requested_by=by,
        requested_at=trail.at,
    )
    trail.add("campaign.change_proposed", change, **_told(change))
    trail.write()
    return change


def _make_room(campaign: Campaign, trail: Trail) -> None:
    """End a proposal that nobody could approve any more; one that waits is in the way of another."""
    waiting = PolicyChange.objects.select_for_update(no_key=True).filter(campaign=campaign, status=Status.PENDING)
    for change in waiting:
        if change.is_overdue(trail.at):
            _expire(change, trail, cause="overdue")
        elif change.is_outdated(campaign):
            _expire(change, trail, cause="policy_changed")
        else:
            raise PolicyRefused(
                _("Another proposal for this campaign waits. Let it be decided, or withdraw it, and propose again.")
            )


def _locked(pk: int) -> PolicyChange:
    """Lock the campaign, then the proposal: in the order of whoever proposes."""
    known = PolicyChange.objects.values_list("campaign_id", flat=True).get(pk=pk)
    campaign = Campaign.objects.select_for_update(no_key=True).get(pk=known)
    change = PolicyChange.objects.select_for_update(no_key=True, of=("self",)).select_related("requested_by").get(pk=pk)
    change.campaign = campaign
    return change


@sensitive_variables()
def _approve(pk: int, by: Any, actor: Actor, password: str) -> PolicyChange | PolicyRefused:
    with transaction.atomic(durable=True):
        change = _locked(pk)
        trail = Trail(actor, now())
        refusal = _refusal(change, by, trail) or _unfit(change, trail) or _doubt(change, by, password, trail)
        if refusal is None:
            edit = campaigns.edit(change.campaign, change.values())
            campaigns.save(edit, actor, proposal=change.pk, proposed_by=change.requested_by.get_username())
            _decide(change, Status.APPROVED, by, trail)
        trail.write()
    return refusal or change


def _close(pk: int, by: Any, actor: Actor, status: PolicyChange.Status, reason: str) -> PolicyChange | PolicyRefused:
    with transaction.atomic(durable=True):
        change = _locked(pk)
        trail = Trail(actor, now())
        own = by.pk == change.requested_by_id
        if change.status != Status.PENDING:
            return _settled(change)
        if status == Status.WITHDRAWN and not own:
            return PolicyRefused(_("Only who proposed it may withdraw it. You may reject it."))
        if status == Status.REJECTED and own:
            return PolicyRefused(_("It is your own proposal: withdraw it instead."))
        if status == Status.REJECTED and not by.has_perm(MAY_APPROVE):
            return _not_entitled()
        _decide(change, status, by, trail, answer=reason)
        trail.write()
    return change


def _refusal(change: PolicyChange, by: Any, trail: Trail) -> PolicyRefused | None:
    """Return why this person may not approve. Asked of everybody, superusers too."""
    if change.status != Status.PENDING:
        return _settled(change)
    if by.pk == change.requested_by_id:
        trail.add("campaign.self_approval_refused", change, **_told(change))
        return PolicyRefused(_("You proposed this yourself. Somebody else must approve it; your attempt was noted."))
    if not by.is_active or not by.has_perm(MAY_APPROVE):
        return _not_entitled()
    return None


def _unfit(change: PolicyChange, trail: Trail) -> PolicyRefused | None:
    """Return why this proposal can be approved by nobody any more, and end it."""
    if change.is_overdue(trail.at):
        _expire(change, trail, cause="overdue")
        return PolicyRefused(_("This proposal is older than a week. It must be made anew."))
    if change.is_outdated(change.campaign):
        _expire(change, trail, cause="policy_changed")
        return PolicyRefused(_("The policy was changed since this was proposed. It must be proposed anew."))
    if not change.requested_by.is_active:
        return PolicyRefused(_("Who proposed this is not active any more. Reject it; somebody may propose it anew."))
    return None


@sensitive_variables()
def _doubt(change: PolicyChange, by: Any, password: str, trail: Trail) -> PolicyRefused | None:
    """Return why it is not sure that the approver sits there: a stolen session or an open browser approves nothing.

    Under the approver's lock, so that wrong passwords are counted one after another, over all campaigns.
    """
    get_user_model()._base_manager.select_for_update(no_key=True).filter(pk=by.pk).first()
    since = trail.at - WINDOW
    if not by.has_usable_password():
        if by.last_login is not None and by.last_login > since:
            return None
        return PolicyRefused(_("Sign out, sign in again, and approve within 15 minutes."))
    # By the empty participant, because the index begins with it.
    wrong = Event.objects.filter(participant=None, type=_PASSWORD_REFUSED, created_at__gt=since)
    if wrong.filter(actor=by.get_username()).count() >= WRONG_PASSWORDS:
        return PolicyRefused(_("Too many wrong passwords. Wait 15 minutes, and approve then."))
    if by.check_password(password):
        return None
    trail.add("campaign.password_refused", change, proposal=change.pk)
    return PolicyRefused(_("The password is wrong. Nothing was approved."))


def _decide(change: PolicyChange, status: PolicyChange.Status, by: Any, trail: Trail, *, answer: str = "") -> None:
    change.status, change.decided_by, change.decided_at = status, by, trail.at
    change.save(update_fields=["status", "decided_by", "decided_at"])
    trail.add(f"campaign.change_{status.value}", change, answer=answer, **_told(change))


def _expire(change: PolicyChange, trail: Trail, *, cause: str) -> None:
    change.status, change.decided_at = Status.EXPIRED, trail.at
    change.save(update_fields=["status", "decided_at"])
    trail.add("campaign.change_expired", change, expired_because=cause, **_told(change))


def _told(change: PolicyChange) -> dict[str, Any]:
    """Return what every event of a proposal keeps of it."""
    return {
        "proposal": change.pk,
        "proposed_by": change.requested_by.get_username(),
        "reason": change.reason,
        "before": change.before,
        "after": change.after,
    }


def _settled(change: PolicyChange) -> PolicyRefused:
    return PolicyRefused(_("This proposal was decided already: %(status)s.") % {"status": change.get_status_display()})


def _not_entitled() -> PolicyRefused:
    return PolicyRefused(_("You may not decide on proposals."))
