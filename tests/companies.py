"""A company: whoever asks, and the people who approve."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests import factories
from tests.stories import STAFF
from twofa.flows import approvers, participants
from twofa.flows.recipients import Named
from twofa.models import Approver, Challenge, Device, Participant, Redemption

DIRECTOR, DEPUTY, STRANGER = "52998224725", "39053344705", "11144477735"


class Company(factories.Shop):
    """A shop whose participant, the buyer, has a director with a phone and an e-mail address who approves."""

    def __init__(self, **policy: Any) -> None:
        super().__init__(**policy)
        self.director = self.person(DIRECTOR, external_id="director", locale="es")
        self.phone = factories.device(self.director)
        self.mail = factories.device(self.director, "email")
        self.entitlement = self.entitle(self.director)

    def person(self, document_number: str, **columns: Any) -> Participant:
        row = factories.participant(self.campaign, **columns)
        return participants.enroll(
            campaign=self.campaign, external_id=row.external_id, document_number=document_number, actor=STAFF
        )[0]

    def entitle(self, participant: Participant, **limits: Any) -> Approver:
        return approvers.entitle(
            **{"requester": self.participant, **limits},
            participant=participant,
            by=factories.staff(),
            actor=STAFF,
            reason="Board of 3 May",
        )

    def ask(self, document_number: str = DIRECTOR, channel: str | None = None, **changes: Any) -> Redemption:
        """A redemption that somebody else has to approve."""
        return self.open(approver=Named(document_number, channel), **changes)


def sent_to(redemption: Redemption) -> Device | None:
    """The device that the present token goes to."""
    return Challenge.objects.select_related("device").get(redemption=redemption).device


AMOUNT = Decimal("150.00")
