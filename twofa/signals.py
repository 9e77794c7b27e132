"""Signals, in the past tense: sent after the commit, with ``send_robust``, so that no receiver undoes a verdict.

Each carries the row it speaks of under the keyword that its name begins with: ``redemption``, ``batch``,
``challenge``, ``delivery``, ``device``, ``document``, ``case``, ``participant``, ``policy_change`` or
``webhook_endpoint``, and says so where it carries more. None ever carries a token.
"""

from __future__ import annotations

from django.dispatch import Signal

redemption_opened = Signal()
redemption_approved = Signal()
redemption_scheduled = Signal()
redemption_completed = Signal()
redemption_failed = Signal()
redemption_rejected = Signal()
redemption_expired = Signal()
redemption_cancelled = Signal()

batch_opened = Signal()
batch_approved = Signal()
batch_completed = Signal()
batch_partly_completed = Signal()
batch_failed = Signal()
batch_rejected = Signal()
batch_expired = Signal()
batch_cancelled = Signal()
batch_tampered = Signal()
"""Of what the token of a batch was issued for, something is not as it was. Carries ``batch``."""

challenge_issued = Signal()
challenge_approved = Signal()
challenge_rejected = Signal()
challenge_expired = Signal()
challenge_cancelled = Signal()

delivery_sent = Signal()
delivery_delivered = Signal()
delivery_failed = Signal()

device_activated = Signal()
device_revoked = Signal()

document_submitted = Signal()
document_approved = Signal()
document_rejected = Signal()
document_expired = Signal()

case_opened = Signal()
"""Somebody who received a token said that it was not them: stop what you would ship. Carries ``case``, which has the
``redemption``, and says with ``too_late`` whether it had been approved."""

participant_onboarded = Signal()
"""A participant has all that the campaign asks for. Carries ``participant``."""

participant_erased = Signal()
"""A participant's data is gone. Erase now what you keep of them. Carries ``participant``, and their ``user``, to whom
nothing of ours refers any more by this participant."""

transaction_tampered = Signal()
"""The stored row is not what its token was issued for: somebody wrote to the table. Carries ``redemption``."""

completion_parked = Signal()
"""A completion ran out of tries and waits for staff. Carries ``redemption``."""

policy_change_proposed = Signal()
"""Somebody proposed to loosen a campaign's policy: tell those who may approve it. Carries ``policy_change``."""
policy_change_decided = Signal()
"""A proposal was approved, rejected, withdrawn, or expired. Carries ``policy_change``."""

webhook_endpoint_disabled = Signal()
"""The machine gave an endpoint up: its storefront hears nothing any more. Carries ``webhook_endpoint``."""
