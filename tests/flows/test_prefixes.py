from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import factories
from tests.flows.pumping import PREFIX, pump
from tests.statements import record_statements
from tests.stories import STAFF, confirm, deliver_due, refused, resend, states, travel, unchanged
from twofa import alerts
from twofa.channels.memory import outbox
from twofa.exceptions import PolicyRefused, SendBudget, WrongState
from twofa.flows import erasures, prefixes, purges, sweeps
from twofa.models import Challenge, Delivery, Event, PrefixPause, SafeNumber
from twofa.models.clock import now

pytestmark = pytest.mark.django_db
ADDRESS = PREFIX + "0034"


@pytest.fixture
def shop() -> factories.Shop:
    """A shop whose participant has a phone of the prefix."""
    made = factories.Shop()
    made.device.address = ADDRESS
    made.device.save()
    return made


def paused(prefix: str = PREFIX, **columns: Any) -> PrefixPause:
    return factories.prefix_pause(prefix=prefix, **columns)


def told(type_: str) -> list[dict[str, Any]]:
    return list(Event.objects.filter(type=type_).order_by("pk").values_list("data", flat=True))


# --- the breaker ------------------------------------------------------------------------------------------------------


def test_many_messages_of_which_hardly_one_is_confirmed_pause_their_prefix(shop, caplog):
    pump(shop, 20, confirmed=1)
    alerts.forget()
    at = now()
    assert prefixes.watch(at) == 1
    pause = PrefixPause.objects.get()
    assert (pause.prefix, pause.sends, pause.confirmations, pause.ended_at) == (PREFIX, 20, 1, None)
    assert (pause.paused_at, pause.paused_until) == (at, at + timedelta(hours=12))
    (data,) = told("prefix.paused")
    assert data == {"prefix": PREFIX, "sends": 20, "confirmations": 1, "paused_until": pause.paused_until.isoformat()}
    event = Event.objects.get(type="prefix.paused")
    assert (event.actor_kind, event.campaign_id) == ("worker", None)


@pytest.mark.django_db(transaction=True)
def test_pause_alerts_by_its_id_and_not_by_the_number(shop, caplog):
    pump(shop)
    alerts.forget()
    prefixes.watch(now())
    (record,) = [record for record in caplog.records if record.name == alerts.LOGGER]
    assert (record.levelno, record.alert) == (logging.ERROR, "prefix_paused")
    assert record.alert_ids == {"prefix_pause": str(PrefixPause.objects.get().pk)}
    assert PREFIX not in record.getMessage()


@pytest.mark.parametrize(("number", "confirmed"), [(19, 0), (20, 2), (100, 10), (40, 20)])
def test_few_messages_or_enough_confirmations_pause_nothing(shop, number, confirmed):
    pump(shop, number, confirmed=confirmed)
    with unchanged():
        assert prefixes.watch(now()) == 0


@pytest.mark.parametrize(("people", "numbers"), [(1, 50), (4, 50), (50, 1), (50, 4)])
def test_few_people_or_few_numbers_pause_nobody_elses_numbers(shop, people, numbers):
    pump(shop, 50, people=people, numbers=numbers)
    with unchanged():
        assert prefixes.watch(now()) == 0


def test_messages_of_nobody_count_as_of_one_each(shop):
    Delivery.objects.filter(pk__in=[row.pk for row in pump(shop, 20)]).update(participant=None)
    assert prefixes.watch(now()) == 1


def test_prefix_is_paused_once(shop):
    pump(shop, 30)
    assert [prefixes.watch(now()) for _time in range(3)] == [1, 0, 0]
    assert PrefixPause.objects.count() == len(told("prefix.paused")) == 1


def test_each_prefix_is_judged_by_its_own_messages(shop):
    pump(shop, 20)
    pump(shop, 20, confirmed=15, prefix="+551198766")
    pump(shop, 15, prefix="+551198767")
    prefixes.watch(now())
    assert list(PrefixPause.objects.values_list("prefix", flat=True)) == [PREFIX]


def test_messages_that_may_still_be_answered_do_not_count(shop):
    rows = pump(shop, 20, age=timedelta(minutes=4))
    assert prefixes.watch(now()) == 0
    travel(timedelta(seconds=61))
    assert len(rows) == 20
    assert prefixes.watch(now()) == 1


def test_messages_of_another_time_or_kind_do_not_count(shop):
    pump(shop, 20, age=timedelta(hours=12, minutes=1))
    pump(shop, 20, challenge=None, event="device.activated", generation=0)
    pump(shop, 20, sent_at=None, status="failed")
    pump(shop, 20, prefix="", channel="email")
    pump(shop, 1)
    with unchanged():
        assert prefixes.watch(now()) == 0


def test_message_that_failed_over_and_was_confirmed_elsewhere_is_not_confirmed_here(shop):
    rows = pump(shop, 20, confirmed=20)
    Challenge.objects.filter(deliveries__in=rows).update(address="ana@example.com", channel="email")
    assert prefixes.watch(now()) == 1
    assert PrefixPause.objects.get().confirmations == 0


def test_prefix_that_nothing_was_sent_to_lately_is_not_looked_at(shop):
    pump(shop, 20, age=timedelta(hours=2), prefix="+552198765")
    assert prefixes.watch(now()) == 0
    pump(shop, 1, age=timedelta(minutes=29), prefix="+552198765")
    assert prefixes.watch(now()) == 1


def test_setting_says_how_many_how_few_and_for_how_long(shop, settings):
    settings.TWOFA_PREFIX_BREAKER = {"sends": 5, "conversion": Decimal("0.5"), "pause": timedelta(hours=1)}
    pump(shop, 5, confirmed=2)
    at = now()
    assert prefixes.watch(at) == 1
    assert PrefixPause.objects.get().paused_until == at + timedelta(hours=1)


def test_breaker_that_is_switched_off_pauses_nothing_and_ends_what_is_over(shop, settings):
    settings.TWOFA_PREFIX_BREAKER = None
    pump(shop, 100)
    pause = paused("+351912345", paused_until=now())
    assert prefixes.watch(now()) == 1
    pause.refresh_from_db()
    assert pause.ended_at == pause.paused_until
    assert PrefixPause.objects.count() == 1


def test_sweeper_pauses_before_it_sends(shop):
    redemption = shop.open()
    pump(shop)
    sweeps.sweep()
    assert states(redemption) == [(1, "sms", "failed", "prefix_paused")]
    assert len(outbox) == 0


def test_looking_costs_two_statements_however_many_prefixes_there_are(shop):
    for number in range(5):
        pump(shop, 5, prefix=f"+5511987{number:02}")
    at = now()
    with record_statements() as statements:
        prefixes.watch(at)
    assert len(statements) == 2, str(statements)


# --- while a prefix is paused -----------------------------------------------------------------------------------------


def test_checkout_is_refused_until_the_pause_ends(shop):
    paused()
    with refused(SendBudget) as info:
        shop.open()
    assert 12 * 3600 - 5 < info.value.retry_after <= 12 * 3600


def test_checkout_goes_by_the_next_channel_where_nobody_chose(shop):
    paused()
    email = factories.device(shop.participant, "email")
    redemption = shop.open()
    deliver_due()
    assert [message.recipient for message in outbox] == [email.address]
    assert not redemption.challenge.channel_chosen
    assert confirm(shop, redemption, outbox[0].token).status == "completed"


@pytest.mark.parametrize("how", ["channel", "device"])
def test_chosen_contact_of_a_paused_prefix_is_refused(shop, how):
    paused()
    factories.device(shop.participant, "email")
    with refused(SendBudget):
        shop.open(**({"channel": "sms"} if how == "channel" else {"device": shop.device.uuid}))


def test_whatsapp_of_the_same_number_is_closed_as_well(shop):
    paused()
    factories.device(shop.participant, "whatsapp", address=ADDRESS)
    with refused(SendBudget):
        shop.open()


def test_other_prefixes_and_ended_pauses_keep_nobody(shop):
    paused("+551198766")
    paused(ended_at=now())
    assert shop.open().status == "pending_2fa_approval"


def test_pause_whose_time_is_over_keeps_nobody_though_no_sweeper_ended_it(shop):
    # SQLite's clock tells milliseconds.
    paused(paused_until=now() - timedelta(milliseconds=1))
    redemption = shop.open()
    deliver_due()
    assert states(redemption)[0][2] == "sent"


def test_queued_message_fails_and_fails_over(shop):
    email = factories.device(shop.participant, "email")
    redemption = shop.open()
    paused()
    deliver_due()
    deliver_due()
    assert states(redemption) == [(1, "sms", "failed", "prefix_paused"), (2, "email", "sent", "")]
    assert [message.recipient for message in outbox] == [email.address]


def test_resend_goes_elsewhere_or_is_refused(shop):
    redemption = shop.open()
    deliver_due()
    paused()
    travel(timedelta(seconds=31))
    with refused(SendBudget):
        resend(shop, redemption)
    email = factories.device(shop.participant, "email")
    with refused(SendBudget):
        resend(shop, redemption, channel="sms")
    resend(shop, redemption)
    deliver_due()
    assert outbox[-1].recipient == email.address


def test_email_is_never_touched(shop):
    shop.device.delete()
    factories.device(shop.participant, "email")
    paused("")
    paused("ana1@example")
    shop.open()
    deliver_due()
    assert len(outbox) == 1


def test_test_campaign_is_neither_counted_nor_paused():
    shop = factories.Shop(test=True)
    redemption = shop.open()
    assert Delivery.objects.get().prefix == ""
    paused(shop.device.address[:-4])
    shop.open()
    deliver_due()
    assert states(redemption)[0][2] == "sent"


# --- lifting ----------------------------------------------------------------------------------------------------------


def test_staff_lift_a_pause_with_their_name_and_a_reason(shop):
    pause = paused()
    prefixes.lift(pause, actor=STAFF, reason="Our own campaign.")
    pause.refresh_from_db()
    assert pause.lifted_by == "maria"
    assert pause.ended_at is not None
    event = Event.objects.get(type="prefix.lifted")
    assert (event.actor, event.data) == ("maria", {"prefix": PREFIX, "reason": "Our own campaign."})
    shop.open()


def test_lifted_prefix_is_not_paused_again_for_what_was_sent_before(shop):
    pump(shop, 50)
    prefixes.watch(now())
    prefixes.lift(PrefixPause.objects.get(), actor=STAFF, reason="r")
    assert prefixes.watch(now()) == 0
    travel(timedelta(minutes=10))
    pump(shop, 19, age=timedelta(minutes=6))
    assert prefixes.watch(now()) == 0
    pump(shop, 1, age=timedelta(minutes=6))
    assert prefixes.watch(now()) == 1
    assert PrefixPause.objects.count() == 2


@pytest.mark.parametrize("ended", ["lifted", "over"])
def test_what_does_not_run_cannot_be_lifted(ended):
    at = now()
    pause = paused(ended_at=at) if ended == "lifted" else paused(paused_until=at)
    with refused(WrongState):
        prefixes.lift(pause, actor=STAFF, reason="r")


def test_pause_ends_by_itself_with_an_event(shop):
    pause = paused()
    travel(timedelta(hours=12))
    assert prefixes.watch(now()) == 1
    assert prefixes.watch(now()) == 0
    pause.refresh_from_db()
    assert (pause.ended_at, pause.lifted_by) == (pause.paused_until, "")
    assert told("prefix.resumed") == [{"prefix": PREFIX}]


# --- safe numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("safe", ["+5511", PREFIX, ADDRESS])
def test_safe_number_gets_its_messages_though_its_prefix_is_paused(shop, safe):
    paused()
    prefixes.add_safe_number(safe, actor=STAFF, reason="Ours.")
    redemption = shop.open()
    deliver_due()
    assert states(redemption)[0][2] == "sent"


@pytest.mark.parametrize("safe", ["+5512", PREFIX + "0035", ADDRESS + "1", "+55119876%"])
def test_number_that_does_not_begin_so_is_not_safe(shop, safe):
    paused()
    SafeNumber.objects.create(prefix=safe, reason="r", created_by="maria", created_at=now())
    with refused(SendBudget):
        shop.open()
    assert not prefixes.is_paused("", ADDRESS, now())
    assert prefixes.is_paused(PREFIX, ADDRESS, now())


def test_messages_to_safe_numbers_do_not_count_for_the_breaker(shop):
    prefixes.add_safe_number(PREFIX, actor=STAFF, reason="A load test.")
    pump(shop, 100)
    assert prefixes.watch(now()) == 0


def test_safe_number_spends_the_other_budgets(shop):
    prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="Ours.")
    type(shop.campaign).objects.update(sends_per_participant_per_day=1)
    shop.open()
    with refused(SendBudget):
        shop.open()


def test_safe_number_is_added_once_and_told_without_its_end():
    row = prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="The office.")
    assert (row.created_by, row.reason) == ("maria", "The office.")
    assert told("safe_number.added") == [{"number": "+5511987••••••", "reason": "The office."}]
    with refused(PolicyRefused):
        prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="Again.")


def test_safe_number_is_removed_once():
    row = prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="The office.")
    prefixes.remove_safe_number(row, actor=STAFF, reason="Moved out.")
    assert not SafeNumber.objects.living().exists()
    assert told("safe_number.removed") == [{"number": "+5511987••••••", "reason": "Moved out."}]
    with refused(WrongState):
        prefixes.remove_safe_number(row, actor=STAFF, reason="Again.")
    assert prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="Moved in again.").pk != row.pk


def test_removed_number_is_not_safe(shop):
    pump(shop)
    pause = paused()
    prefixes.remove_safe_number(
        prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="Ours."), actor=STAFF, reason="Sold."
    )
    with refused(SendBudget):
        shop.open()
    assert prefixes.is_paused(PREFIX, ADDRESS, now())
    pause.delete()
    assert prefixes.watch(now()) == 1


# --- how long it is kept ----------------------------------------------------------------------------------------------


def test_safe_number_of_a_participant_who_is_erased_goes_with_them(shop):
    prefixes.add_safe_number(ADDRESS, actor=STAFF, reason="A test.")
    kept = prefixes.add_safe_number(PREFIX, actor=STAFF, reason="A range.")
    erasures.erase(shop.participant, actor=STAFF)
    assert list(SafeNumber.objects.all()) == [kept]
    assert told("safe_number.removed") == [{"number": "+5511987••••••", "reason": "erased"}]


def test_prefix_of_a_message_is_purged_with_its_address(shop):
    redemption = shop.open()
    deliver_due()
    confirm(shop, redemption, outbox[0].token)
    assert Delivery.objects.get().prefix == PREFIX
    travel(timedelta(days=91))
    purges.purge()
    assert Delivery.objects.values_list("address", "destination", "prefix").get() == ("", "", "")
