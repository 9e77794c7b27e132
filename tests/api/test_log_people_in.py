"""The requests of ``docs/howto/log-people-in.md``, one after another."""

from __future__ import annotations

import json

from tests import factories
from tests.example.blocks import blocks_of
from tests.stories import deliver_due
from twofa.channels.memory import outbox
from twofa.models import Campaign

PAGE = "docs/howto/log-people-in.md"
SHOWN = "correct horse battery"


def test_requests_of_the_page_do_what_it_says(api, shop):
    outbox.clear()
    Campaign.objects.update(slug="verao", name="Verão Premiado")
    ana = factories.participant(shop.campaign, external_id="u-42", locale="en")
    factories.device(ana)
    factories.account(ana, "ana@example.com")
    ana.user.set_password(SHOWN)
    ana.user.save()
    pk, answers = "", []
    for block in blocks_of(PAGE):
        if len(block.words) != 3:
            continue
        method, path, status = block.words
        token = outbox[-1].token if outbox else ""
        response = api.send(method, path, json.loads(block.code.replace("7K2-M9Q", token).replace("{id}", pk)))
        assert response.status_code == int(status), response.json()
        pk = response.json().get("id", "")
        answers.append(response)
        deliver_due()

    _contact, _bia, first, asked, second = answers
    assert (first.json()["participant"], second.json()["participant"]) == ("u-43", "u-42")
    assert asked["X-Two-Factor"] == "required; method=sms"
