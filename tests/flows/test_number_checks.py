"""The host's check of a number before a token goes there: its SIM may be somebody else's by now."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from tests import factories
from tests.flows.channels import BUSY, SETTING, ScriptedChannel
from tests.stories import cancel, deliver_due, reject, states, travel
from twofa import alerts
from twofa.channels.memory import outbox
from twofa.flows import deliveries
from twofa.models import Delivery, Redemption

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def scripted(settings):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow()


def raising(_number: str) -> bool:
    raise ConnectionError("carrier is down: +5511987654321")


def test_carrier_is_asked_about_the_number_before_its_token_goes(shop, settings):
    asked = []
    settings.TWOFA_NUMBER_CHECK = lambda number: asked.append((number, len(outbox))) or True
    shop.open()
    deliver_due()
    assert (asked, len(outbox)) == ([(shop.device.address, 0)], 1)


def test_nothing_goes_to_a_number_that_changed_hands(shop, settings, caplog):
    alerts.forget()
    settings.TWOFA_NUMBER_CHECK = lambda number: False
    redemption = shop.open()
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "number_at_risk")]
    assert (len(outbox), Redemption.objects.get().status) == (0, "pending_2fa_approval")
    (record,) = [record for record in caplog.records if record.name == alerts.LOGGER]
    assert (record.levelno, record.alert) == (logging.ERROR, "number_at_risk")
    assert shop.device.address not in record.getMessage()


def test_another_verified_contact_takes_its_place_and_not_whatsapp_on_the_same_sim(shop, settings):
    asked = []
    settings.TWOFA_NUMBER_CHECK = lambda number: bool(asked.append(number))
    factories.device(shop.participant, "whatsapp", shop.device.address)
    mail = factories.device(shop.participant, "email")
    redemption = shop.open()
    for _ in range(3):
        deliver_due()
    assert asked == [shop.device.address] * 2
    assert [(channel, reason) for _g, channel, _s, reason in states(redemption)] == [
        ("sms", "number_at_risk"),
        ("whatsapp", "number_at_risk"),
        ("email", ""),
    ]
    assert [message.recipient for message in outbox] == [mail.address]


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(raising, id="raises"),
        pytest.param(lambda number: None, id="None"),
        pytest.param(lambda number: 1, id="truthy and not True"),
        pytest.param("tests.flows.no_such_module.check", id="not importable"),
    ],
)
def test_no_answer_is_no_leave_to_send_and_is_asked_for_again(shop, settings, caplog, check):
    settings.TWOFA_NUMBER_CHECK = check
    redemption = shop.open()
    deliver_due()
    assert states(redemption) == [(1, "sms", "queued", "number_unchecked")]
    assert (ScriptedChannel.calls, "+5511987654321" in caplog.text) == (0, False)
    settings.TWOFA_NUMBER_CHECK = lambda number: True
    travel(timedelta(seconds=10))
    deliver_due()
    assert states(redemption) == [(1, "sms", "sent", "")]


@pytest.mark.parametrize("answer", [None, 1, "yes"])
def test_what_is_no_answer_is_told_by_log_and_alert(shop, settings, caplog, answer):
    alerts.forget()
    settings.TWOFA_NUMBER_CHECK = lambda number: answer
    shop.open()
    deliver_due()
    (record,) = [record for record in caplog.records if record.name == alerts.LOGGER]
    assert (record.levelno, record.alert) == (logging.ERROR, "number_unchecked")
    assert f"gave a {type(answer).__name__}, not True or False" in caplog.text


def test_whoever_waited_longer_than_the_lease_leaves_it_to_who_took_over(shop, settings):
    shop.open()
    pk, asked = Delivery.objects.get().pk, []

    def slow(_number: str) -> bool:
        asked.append(pk)
        if len(asked) == 1:
            travel(timedelta(seconds=31))
            deliveries.deliver(pk)
        return True

    settings.TWOFA_NUMBER_CHECK = slow
    deliveries.deliver(pk)
    assert (len(asked), len(outbox), Delivery.objects.get(pk=pk).status) == (2, 1, "sent")


def test_token_of_what_ended_while_the_carrier_was_asked_is_not_sent(shop, settings):
    redemption = shop.open()

    def meanwhile(_number: str) -> bool:
        cancel(shop, redemption)
        return True

    settings.TWOFA_NUMBER_CHECK = meanwhile
    deliver_due()
    assert (len(outbox), Redemption.objects.get().status) == (0, "cancelled")
    assert [row[2] for row in states(redemption)] == ["superseded"]


def test_each_try_asks_anew(shop, settings):
    answers = iter([True, False])
    settings.TWOFA_NUMBER_CHECK = lambda number: next(answers)
    ScriptedChannel.follow(BUSY)
    redemption = shop.open()
    deliver_due()
    travel(timedelta(seconds=10))
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "number_at_risk")]


def test_email_and_test_campaigns_ask_nobody(shop, settings):
    settings.TWOFA_NUMBER_CHECK = raising
    factories.device(shop.participant, "email")
    mailed, tried = shop.open(channel="email"), factories.Shop(test=True).open()
    deliver_due()
    assert [states(row)[0][2] for row in (mailed, tried)] == ["sent", "sent"]


def test_notices_go_without_a_question(shop, settings):
    redemption = shop.open()
    deliver_due()
    settings.TWOFA_NUMBER_CHECK = raising
    reject(shop, redemption, 5)
    deliver_due()
    assert outbox[-1].event == "redemption.rejected"
