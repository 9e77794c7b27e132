"""The requests of ``docs/howto/ask-for-a-second-factor.md``, one after another."""

from __future__ import annotations

import json

from tests import factories
from tests.example.blocks import ROOT, blocks_of
from tests.stories import deliver_due
from twofa.channels.memory import outbox
from twofa.models import Campaign, Challenge, Device

PAGE = "docs/howto/ask-for-a-second-factor.md"


def test_requests_of_the_page_do_what_it_says(api, shop):
    outbox.clear()
    Campaign.objects.update(slug="verao", name="Verão Premiado")
    ana = factories.participant(shop.campaign, external_id="u-42", locale="en")
    factories.device(ana)
    pk, answers = "", []
    for block in blocks_of(PAGE):
        method, path, status = block.words
        token = outbox[-1].token if outbox else ""
        code = block.code.replace("7K2-M9Q", token).replace("{id}", pk)
        response = api.send(method, path.replace("{id}", pk), json.loads(code))
        assert response.status_code == int(status), response.json()
        pk = response.json().get("id", "")
        answers.append(response.json())
        deliver_due()

    step_up, verified, login, _contact, bia = answers
    assert (step_up["status"], verified["status"], login["purpose"]) == ("pending", "approved", "login")
    assert (bia["external_id"], Device.objects.get(participant__external_id="u-43").status) == ("u-43", "active")
    assert sorted(Challenge.objects.values_list("status", flat=True)) == ["approved", "approved", "pending"]


def test_message_of_the_page_is_the_one_that_is_sent(api, shop):
    outbox.clear()
    Campaign.objects.update(name="Verão Premiado")
    factories.step_up(shop, "step_up:change-address", description="Change of the delivery address")
    deliver_due()
    shown = (ROOT / PAGE).read_text().partition("```text\n")[2].partition("\n```")[0]
    assert shown.replace("7K2M9Q", outbox[0].token).replace("ã", "a") == outbox[0].text
