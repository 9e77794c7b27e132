"""Why a redemption is where it is: the sentence with which staff answer whoever calls. Pure: rows in, words out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from twofa.admin import words
from twofa.admin.sections import moment
from twofa.models import ActorKind, Challenge, Delivery, Event, Failure, Redemption, Verdict

Status, Points = Redemption.Status, Redemption.Points


@dataclass(frozen=True)
class Story:
    """A redemption with all that is told of it; events and deliveries from the oldest to the newest."""

    redemption: Redemption
    challenge: Challenge | None
    events: Sequence[Event]
    deliveries: Sequence[Delivery]

    def last(self, *types: str) -> Event | None:
        """Return the newest event of these types."""
        return next((event for event in reversed(self.events) if event.type in types), None)

    def at(self, *types: str) -> datetime:
        """Return when the newest of these events was, or when the row was written last."""
        event = self.last(*types)
        return self.redemption.updated_at if event is None else event.created_at

    @property
    def wrong(self) -> list[Event]:
        """Return the wrong tokens."""
        return [event for event in self.events if event.type == "challenge.attempt_failed"]


def who(event: Event) -> str:
    """Return the actor of an event: its kind, and its name where it has one."""
    kind = str(event.get_actor_kind_display())
    return f"{event.actor} ({kind})" if event.actor else kind


def outcome(story: Story) -> str:
    """Return in one sentence or two what became of it, and why."""
    return " ".join(part for part in _OUTCOMES[Status(story.redemption.status)](story) if part)


def _pending(story: Story) -> list[str]:
    if story.challenge is None:
        return []
    if story.redemption.points == Points.NONE:
        return [_("The points system has not set the points aside yet; the token is sent when it has.")]
    challenge = story.challenge
    sentence = _("Waits for its token until %(deadline)s: %(used)d of %(most)d attempts are used.") % {
        "deadline": moment(challenge.deadline),
        "used": challenge.attempts,
        "most": challenge.max_attempts,
    }
    return [sentence, _message(story)]


def _rejected(story: Story) -> list[str]:
    wrong = story.wrong
    code = story.redemption.failure_code
    if code and (code != Failure.ATTEMPTS_EXHAUSTED or not wrong):
        why = {"at": moment(story.at("redemption.rejected")), "reason": words.reason(code)}
        return [_("Rejected on %(at)s: %(reason)s.") % why, _attempts(story) if wrong else ""]
    if not wrong:
        return [_("Rejected on %(at)s.") % {"at": moment(story.at("redemption.rejected"))}]
    sentence = ngettext(
        "Rejected on %(at)s: %(count)d wrong token, from %(who)s.",
        "Rejected on %(at)s: %(count)d wrong tokens, the last from %(who)s.",
        len(wrong),
    )
    said = {"at": moment(story.at("redemption.rejected")), "count": len(wrong), "who": who(wrong[-1])}
    return [sentence % said, _superseded(wrong)]


def _superseded(wrong: Sequence[Event]) -> str:
    count = sum(event.data.get("verdict") == Verdict.SUPERSEDED for event in wrong)
    if not count:
        return ""
    return ngettext(
        "%(count)d of them was right once, but a newer message had replaced it.",
        "%(count)d of them were right once, but a newer message had replaced them.",
        count,
    ) % {"count": count}


def _expired(story: Story) -> list[str]:
    at = moment(story.at("redemption.expired"))
    if story.challenge is None:
        return [_("Expired on %(at)s.") % {"at": at}]
    time = words.duration(story.challenge.deadline - story.challenge.created_at)
    sentence = _("Expired on %(at)s: the right token did not come within %(time)s.") % {"at": at, "time": time}
    return [sentence, _attempts(story), _message(story)]


def _attempts(story: Story) -> str:
    count = len(story.wrong)
    if not count:
        return _("None was typed.")
    return ngettext("%(count)d wrong one was typed.", "%(count)d wrong ones were typed.", count) % {"count": count}


def _message(story: Story) -> str:
    """Return what became of the last message."""
    if not story.deliveries:
        return ""
    delivery = story.deliveries[-1]
    if delivery.status in Delivery.UNDELIVERED:
        reason = words.reason(delivery.reason) or delivery.get_status_display()
        return _("Its last message was not sent: %(reason)s.") % {"reason": reason}
    if delivery.status in Delivery.OPEN:
        return _("Its last message has not been sent yet.")
    if delivery.status == Delivery.Status.DELIVERED:
        return _("Its last message was delivered.")
    if delivery.status == Delivery.Status.SENT:
        return _("The provider accepted its last message on %(at)s.") % {"at": moment(delivery.sent_at)}
    return ""


def _cancelled(story: Story) -> list[str]:
    event = story.last("redemption.cancelled")
    said = {"at": moment(story.at("redemption.cancelled")), "who": "" if event is None else who(event)}
    if story.last("redemption.tampered") is not None:
        return [
            _("Cancelled on %(at)s: the stored row was not what the token was issued for. Find out who wrote to it.")
            % said
        ]
    code = story.redemption.failure_code
    if code and (code not in Failure or code == Failure.BATCH_REFUSED):
        said["reason"] = words.reason(code)
        return [_("Cancelled on %(at)s, because the points system refused it: %(reason)s.") % said]
    if event is not None and "reason" in event.data:
        said["reason"] = words.reason(str(event.data["reason"]))
        return [_("Cancelled on %(at)s by %(who)s: %(reason)s") % said]
    if event is None and code:
        return [_("Cancelled on %(at)s: %(reason)s.") % {**said, "reason": words.reason(code)}]
    return [(_("Cancelled on %(at)s by %(who)s.") if event is not None else _("Cancelled on %(at)s.")) % said]


def _failed(story: Story) -> list[str]:
    event = story.last("redemption.failed")
    said = {"at": moment(story.at("redemption.failed")), "reason": words.reason(story.redemption.failure_code)}
    if event is not None and event.actor_kind == ActorKind.STAFF:
        said |= {"who": who(event), "reason": str(event.data.get("reason", ""))}
        return [_("Failed on %(at)s by %(who)s: %(reason)s") % said]
    return [_("Failed on %(at)s, because its points could not be spent: %(reason)s.") % said]


def _approved(story: Story) -> list[str]:
    redemption = story.redemption
    tries = {"at": moment(redemption.parked_at), "tries": redemption.completion_tries}
    if redemption.is_parked:
        return [
            _("Waits for staff since %(at)s: the points system was called and never answered clearly.") % tries,
            _("Nobody knows whether the points were spent: look there first, then try again or fail it."),
        ]
    if redemption.points == Points.NONE:
        return [_("Approved, but the points system has not set the points aside yet.")]
    said = {"at": moment(redemption.approved_at), "due": moment(redemption.due_at)}
    if redemption.completion_tries:
        return [_("Approved on %(at)s; its points are not spent yet, the next try is due on %(due)s.") % said]
    return [_("Approved on %(at)s; its points are about to be spent.") % said]


def _scheduled(story: Story) -> list[str]:
    redemption = story.redemption
    said = {"at": moment(redemption.approved_at), "due": moment(redemption.scheduled_for)}
    if redemption.is_parked:
        return _approved(story)
    if redemption.completion_tries:
        said["due"] = moment(redemption.due_at)
        return [_("Approved on %(at)s; its points are not spent yet, the next try is due on %(due)s.") % said]
    return [_("Approved on %(at)s, and scheduled: its points are spent on %(due)s.") % said]


def _completed(story: Story) -> list[str]:
    at = {"at": moment(story.redemption.completed_at)}
    if story.challenge is None:
        return [_("Completed on %(at)s without a token.") % at]
    sentence = _("Completed on %(at)s: the right token came.") % at
    return [sentence, _attempts(story) if story.wrong else ""]


_OUTCOMES: dict[Redemption.Status, Callable[[Story], list[str]]] = {
    Status.PENDING: _pending,
    Status.APPROVED: _approved,
    Status.SCHEDULED: _scheduled,
    Status.COMPLETED: _completed,
    Status.FAILED: _failed,
    Status.REJECTED: _rejected,
    Status.EXPIRED: _expired,
    Status.CANCELLED: _cancelled,
}
