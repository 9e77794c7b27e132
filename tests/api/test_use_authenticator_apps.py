"""The requests of ``docs/howto/use-authenticator-apps.md``, one after another."""

from __future__ import annotations

import json

from tests import factories
from tests.api.phones import Phone, forget_steps
from tests.example.blocks import blocks_of
from tests.stories import deliver_due
from twofa.channels.memory import outbox
from twofa.models import Campaign, Delivery

PAGE = "docs/howto/use-authenticator-apps.md"
SHOWN = "correct horse battery"
OF_A_MESSAGE, OF_AN_APP, ON_PAPER = "7K2-M9Q", "123456", "9N91-2TTQ-M9YJ-V5N7"


def test_requests_of_the_page_do_what_it_says(api, shop):
    outbox.clear()
    Campaign.objects.update(slug="verao", name="Verão Premiado")
    ana = factories.participant(shop.campaign, external_id="u-42", locale="en")
    factories.device(ana)
    factories.account(ana, "ana@example.com")
    ana.user.set_password(SHOWN)
    ana.user.save()
    told = {"{id}": "", "{app}": "", OF_A_MESSAGE: "", OF_AN_APP: "", ON_PAPER: ""}
    phone, statuses = None, []
    for block in blocks_of(PAGE):
        method, path, status = block.words
        code = block.code
        for shown, meant in told.items():
            code, path = code.replace(shown, meant), path.replace(shown, meant)
        response = api.send(method, path, json.loads(code))
        assert response.status_code == int(status), (path, response.json())
        statuses.append(response.status_code)
        body = response.json() if response.content else {}
        told["{id}"] = body.get("id", told["{id}"])
        if "otpauth_uri" in body:
            phone, told["{app}"] = Phone(body["otpauth_uri"]), body["id"]
        told[ON_PAPER] = body.get("recovery_codes", [told[ON_PAPER]])[0]
        deliver_due()
        told[OF_A_MESSAGE] = next((sent.token for sent in reversed(outbox) if sent.token), "")
        forget_steps()
        told[OF_AN_APP] = "" if phone is None else phone.code()

    assert (len(statuses), statuses[-1]) == (17, 204)
    assert set(Delivery.objects.values_list("event", flat=True)) == {
        "step_up.token", "authenticator.activated", "authenticator.revoked", "recovery_codes.issued",
        "recovery_codes.used",
    }  # fmt: skip
