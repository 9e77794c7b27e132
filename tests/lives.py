"""One participant who leaves a trace wherever a participant can, and the texts by which that is found."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from tests.api.client import Api
from tests.endpoints import make_endpoint
from tests.factories import (
    Shop,
    access_token,
    case,
    device,
    ended_batch,
    key,
    login_challenge,
    participant,
    staff,
    step_up,
    token_of,
    wrong_token,
)
from tests.forms import picture
from tests.papers import decide, submitted
from tests.stories import STAFF, confirm, deliver_due
from twofa import contacts
from twofa.flows import cases, device_logins, disclosures, exports, recovery_codes, redemptions
from twofa.flows.history import Trail
from twofa.models import Authenticator, Delivery, Device, Participant, Redemption
from twofa.models.clock import now
from twofa.vault import seal_secret

EXTERNAL_ID = "zuleica.quaresma-4711"
NAME = "Zuleica Quaresma"
CPF, CPF_PUNCTUATED = "52998224725", "529.982.247-25"
PHONE, EMAIL, SPARE = "+5511987654321", "zuleica.q@quaresma.example", "+5511976543210"
MASKS = [contacts.mask("sms", PHONE), contacts.mask("email", EMAIL), contacts.mask("sms", SPARE)]
TRACES = [EXTERNAL_ID, NAME, "Zuleica", CPF, CPF_PUNCTUATED, PHONE, PHONE[1:], EMAIL, SPARE, SPARE[1:], *MASKS]
"""What must not be found once she is erased. Masks too: with a name beside them they tell whose they are."""


class Life:
    """What she did, in a campaign that another participant is in as well."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.shop.device.delete()  # the mask of any other phone may be the same as one of hers
        self.api = Api(key(self.shop.storefront))
        make_endpoint(of=self.shop.storefront)
        self._enroll()
        self._keep_codes()
        self.session = access_token(self.shop)
        self._spend()
        self._show_papers()
        self._meet_staff()
        deliver_due()
        self._end_what_is_open()
        self._leave_what_providers_and_backends_say()
        self.other = device(participant(self.shop.campaign), "email")

    @property
    def participant(self) -> Participant:
        """Her row, by the user that stays."""
        return Participant.objects.get(pk=self.shop.participant.pk)

    @property
    def path(self) -> str:
        return f"/campaigns/{self.shop.campaign.slug}/participants/{EXTERNAL_ID}/"

    def _enroll(self) -> None:
        shop = self.shop
        body = {"name": NAME, "document_number": CPF_PUNCTUATED, "locale": "pt-br"}
        assert self.api.put(self.path, body, idempotency_key="a").status_code in {200, 201}
        shop.participant = Participant.objects.get(external_id=EXTERNAL_ID)
        answer = self._register("sms", PHONE)
        deliver_due()
        shop.device = Device.objects.get(uuid=answer["id"])
        token = token_of(shop.device.challenges_about.get())
        self.api.post(f"/devices/{answer['id']}/verify/", {"token": token}, idempotency_key="v")
        shop.device.refresh_from_db()
        assert shop.device.status == "active"
        device(shop.participant, "email", EMAIL, name=f"{NAME}'s mail")
        self._register("sms", SPARE)  # waits for the first device to agree

    def _keep_codes(self) -> None:
        person, at = self.shop.participant, now()
        app = Authenticator(participant=person, user=person.user, name=f"app of {NAME}", created_at=at)
        app.kid, app.secret = seal_secret(b"s" * 20, owner=person.pk, name=app.uuid)
        app.save()
        trail = Trail(STAFF, at)
        recovery_codes.first(person, trail)
        trail.write()

    def _register(self, channel: str, address: str) -> Any:
        body = {"channel": channel, "address": address, "name": f"phone of {NAME}"}
        return self.api.post(f"{self.path}devices/", body, idempotency_key=address).json()

    def _spend(self) -> None:
        shop = self.shop
        completed, refused = (
            shop.open(items=[{"sku": "H-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}]),
            shop.open(),
        )
        deliver_due()
        confirm(shop, completed, token_of(completed.challenge))
        ended_batch(shop)
        redemptions.cancel(refused.pk, storefront=None, actor=STAFF, reason=f"{NAME} rang")
        self._report(completed)
        login = login_challenge(shop)
        device_logins.answer_login(shop.device, wrong_token(login))
        # Hers to the last word: what a storefront says of a step-up may name her.
        step_up(shop, description=f"Statement for {NAME}")

    def _show_papers(self) -> None:
        person = self.shop.participant
        decide(submitted(person, "cnh"), approve=False, comment=f"Dear {NAME}", internal_comment=f"{NAME}?")
        submitted(person, "selfie", colour="blue")

    def _meet_staff(self) -> None:
        shop = self.shop
        disclosures.show_contact(shop.device, actor=STAFF, reason=f"{NAME} asked")
        exports.record(actor=STAFF, filters=[f"q={EXTERNAL_ID}", "status=completed"], rows=1)
        for row in (shop.participant, shop.device):
            LogEntry.objects.create(
                user=staff(),
                content_type=ContentType.objects.get_for_model(row),
                object_id=str(row.pk),
                object_repr=str(row),
                action_flag=CHANGE,
                change_message=f"Changed {NAME}.",
            )

    def _report(self, redemption: Redemption) -> None:
        note = f"{NAME} rang from {PHONE}"
        cases.close(case(redemption.challenge), by=staff(), actor=STAFF, outcome="mistake", note=note)

    def _end_what_is_open(self) -> None:
        """Nothing of hers holds points."""
        for redemption in self.shop.participant.redemptions.filter(status="pending_2fa_approval"):
            redemptions.cancel(redemption.pk, storefront=None, actor=STAFF)

    def _leave_what_providers_and_backends_say(self) -> None:
        said = {"status": "delivered", "provider": "x", "provider_message_id": PHONE}
        Delivery.objects.filter(participant=self.shop.participant).update(
            context={"destination": MASKS[1]}, early_report=said, provider_message_id=f"m{PHONE}"
        )
        self.shop.participant.redemptions.update(failure_detail=f"{NAME} has too few points")


def pictures() -> list[bytes]:
    """Beginnings of the pictures that she sent, as they would be found in a storage that keeps them in clear."""
    return [picture()[:64], picture("blue")[:64], b"\xff\xd8\xff"]
