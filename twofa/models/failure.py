"""Why a redemption or a batch ended without its points being spent, in words that storefronts may read."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Failure(models.TextChoices):
    """What flows of ours store in ``failure_code``; beside these it holds the reasons of ``RedemptionRefused``.

    The words of each stand on the pages of staff and, as a sentence, in the API: true wherever the code is stored.
    """

    APPROVER_ERASED = "approver_erased", _("whoever had to approve it was erased")
    ATTEMPTS_EXHAUSTED = "attempts_exhausted", _("too many wrong tokens were typed")
    BATCH_REFUSED = "batch_refused", _("the points of another line of its batch could not be set aside")
    DEVICE_REVOKED = "device_revoked", _("its device was revoked")
    FAILED_BY_STAFF = "failed_by_staff", _("staff gave its completion up")
    NOT_ACTIVE = "not_active", _("the campaign or the participant was not active")
    NOT_ME = "not_me", _("whoever got the message said that it was not them")
    ONBOARDING_INCOMPLETE = (
        "onboarding_incomplete",
        _("the identity that the campaign asks for was not proved when its time came"),
    )
    SCHEDULE_MISSED = "schedule_missed", _("it could not be executed in time")
    SEVERAL_REASONS = "several_reasons", _("each of its lines has a reason of its own")
    TRANSACTION_CHANGED = "transaction_changed", _("what is stored was tampered with")
    UNAVAILABLE = "unavailable", _("the points system did not answer")
