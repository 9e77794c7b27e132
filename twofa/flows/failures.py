"""Wrong tokens in a row: counted on the device that they went to, over all its challenges, until a right one comes.

The day's budgets begin anew each day, and whoever comes back every morning guesses for years. So there is an end that
no time undoes: after 100 in a row the device is held, as one is that was reported (NIST SP 800-63B-4, 3.2.2). Its owner
learns of it from every other contact, goes on with another device, and has this one released by staff.
"""

from __future__ import annotations

from django.db.models import F

from twofa import alerts
from twofa.alerts import Alert
from twofa.flows import alarms
from twofa.flows.facts import Standing
from twofa.flows.history import Trail
from twofa.flows.transactions import after_commit
from twofa.models import MAX_FAILURES_CAP, Challenge, Device

TOO_MANY = "too_many_failures"


def count(challenge: Challenge, standing: Standing, trail: Trail) -> None:
    """Count one wrong token on the device of a locked challenge, and hold the device at the last one."""
    if challenge.device_id is None or standing.device_failures is None:
        return
    # Added to what stands there: two people whose purchases one approver answers lock different rows.
    Device.objects.filter(pk=challenge.device_id).update(failures=F("failures") + 1)
    if standing.device_failures + 1 >= MAX_FAILURES_CAP:
        _hold(challenge.device_id, trail)


def forget(challenge: Challenge, standing: Standing) -> None:
    """Begin anew to count: the right token came from whoever has the device. Costs nothing where there were none."""
    if challenge.device_id is not None and standing.device_failures:
        Device.objects.filter(pk=challenge.device_id).update(failures=0)


def _hold(pk: int, trail: Trail) -> None:
    """Hold a device. What is open on it stays: it may be renewed on another contact, and here nobody answers it."""
    device = Device.objects.select_related("participant__campaign").get(pk=pk)
    if device.is_held or device.status == Device.Status.REVOKED:
        return
    device.hold(trail.at)
    trail.add("device.held", device, destination=device.destination, reason=TOO_MANY)
    about = {"campaign": device.participant.campaign_id, "participant": device.participant_id, "device": device.pk}
    after_commit(alerts.sound, Alert.TOO_MANY_FAILURES, **about)
    alarms.tell("device.held", device.participant, trail, destination=device.destination, leaving_out=device)
