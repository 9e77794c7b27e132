from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import factories
from tests.stories import STAFF, refused, unchanged
from twofa.exceptions import Invalid, PolicyRefused
from twofa.flows import messages
from twofa.models import Campaign, Event, MessageTemplate

pytestmark = pytest.mark.django_db

TEXT = "{{ amount }} {{ item }} {{ token }}"
KEY = {"event": "redemption.token", "channel": "sms", "locale": "pt-br"}


def write(campaign: Campaign, text: str = TEXT, **changes: Any) -> MessageTemplate | None:
    parts = {"text": text} if text else {}
    return messages.write(campaign, **{"actor": STAFF, "parts": parts, **KEY, **changes})


def events() -> list[tuple[str, str, dict[str, Any]]]:
    rows = Event.objects.filter(type__in=("message_template.changed", "message_template.removed"))
    return list(rows.order_by("pk").values_list("type", "actor", "data"))


def test_text_is_stored_changed_and_removed_each_with_who_and_what():
    campaign = factories.campaign()
    about = {"message": "redemption.token", "channel": "sms", "locale": "pt-br"}
    first = write(campaign)
    second = write(campaign, f"  {TEXT} !\n")
    removed = write(campaign, "")

    assert (first.text, second.text, second.pk, removed) == (TEXT, f"{TEXT} !", first.pk, None)
    assert not MessageTemplate.objects.exists()
    assert events() == [
        ("message_template.changed", "maria", {**about, "before": {}, "after": {"text": TEXT}}),
        ("message_template.changed", "maria", {**about, "before": {"text": TEXT}, "after": {"text": f"{TEXT} !"}}),
        ("message_template.removed", "maria", {**about, "before": {"text": f"{TEXT} !"}, "after": {}}),
    ]
    assert set(Event.objects.filter(type__startswith="message_template").values_list("campaign", flat=True)) == {
        campaign.pk
    }


@pytest.mark.parametrize("text", [TEXT, ""])
def test_same_text_again_is_no_change(text: str):
    campaign = factories.campaign()
    write(campaign, text)
    with unchanged():
        write(campaign, text, seen="what another page showed")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"text": "no token"}, "text"),
        ({"text": TEXT + "{{ secret }}"}, "text"),
        ({"text": TEXT + "{% include 'x' %}"}, "text"),
        ({"subject": "{{ token }}", "text": TEXT}, "subject"),
        ({"subject": "only a subject"}, "text"),
        ({"text": TEXT, "html": "<p>no token</p>"}, "html"),
        ({"text": TEXT, "html": f"<p style='display:none'>{TEXT}</p>"}, "html"),
        ({"text": TEXT, "html": f"{{% if minutes %}}<p>{{% endif %}}{TEXT}"}, "html"),
    ],
)
def test_text_that_may_not_be_sent_is_refused_beside_its_part(parts: dict[str, str], field: str):
    campaign = factories.campaign()
    with refused(Invalid) as info:
        write(campaign, parts=parts, channel="email")

    assert [line["field"] for line in info.value.params["errors"]] == [field]


@pytest.mark.parametrize(("name", "value"), [("event", "nothing.token"), ("channel", "fax"), ("locale", "fr")])
def test_message_that_there_is_not_is_refused(name: str, value: str):
    campaign = factories.campaign()
    with refused(Invalid) as info:
        write(campaign, **{name: value})

    assert info.value.params["errors"][0]["field"] == name


def test_text_that_somebody_else_changed_meanwhile_is_kept():
    campaign = factories.campaign()
    seen = messages.mark({})
    write(campaign, seen=seen)
    with refused(PolicyRefused):
        write(campaign, f"{TEXT} mine", seen=seen)

    assert write(campaign, f"{TEXT} mine", seen=messages.mark({"text": TEXT})).text == f"{TEXT} mine"


def test_texts_are_told_by_message_and_channel():
    campaign = factories.campaign()
    write(campaign)
    write(campaign, locale="en")
    write(campaign, "{{ token }}", event="login.token")
    write(factories.campaign())

    assert messages.own_texts(campaign) == {
        ("redemption.token", "sms"): ["en", "pt-br"],
        ("login.token", "sms"): ["pt-br"],
    }
    assert messages.texts_of(campaign, "redemption.token", "sms") == {"en": {"text": TEXT}, "pt-br": {"text": TEXT}}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_first_texts_at_once_the_second_is_told(threads: Callable[..., list[Any]]):
    campaign = factories.campaign()

    def save(text: str) -> str:
        try:
            return write(campaign, text, seen=messages.mark({})).text
        except PolicyRefused:
            return "refused"

    outcomes = threads([lambda: save(f"{TEXT} a"), lambda: save(f"{TEXT} b")])

    assert outcomes.count("refused") == 1
    assert MessageTemplate.objects.get().text in outcomes
    assert len(events()) == 1


# --- switches ---------------------------------------------------------------------------------------------------------


def switch(campaign: Campaign, is_on: bool, event: str = "login.token", channel: str = "sms") -> Campaign:
    return messages.switch(campaign, actor=STAFF, event=event, channel=channel, is_on=is_on)


def test_switch_is_kept_where_it_differs_from_the_default():
    campaign = factories.campaign()
    switch(campaign, False)
    switched = switch(campaign, True, "redemption.completed", "email")

    assert switched.message_switches == {"login.token/sms": False, "redemption.completed/email": True}
    assert not switched.sends("login.token", "sms")
    assert switched.sends("login.token", "email")
    assert switched.sends("redemption.completed", "email")
    assert not switched.sends("redemption.completed", "sms")
    assert switch(switch(campaign, True), False, "redemption.completed", "email").message_switches == {}
    rows = Event.objects.filter(type="campaign.message_switched", campaign=campaign).order_by("pk")
    assert [(row.actor, row.data["message"], row.data["channel"], row.data["is_on"]) for row in rows] == [
        ("maria", "login.token", "sms", False),
        ("maria", "redemption.completed", "email", True),
        ("maria", "login.token", "sms", True),
        ("maria", "redemption.completed", "email", False),
    ]
    assert campaign.policy_version == Campaign.objects.get(pk=campaign.pk).policy_version


def test_switch_that_stands_so_already_changes_nothing():
    campaign = factories.campaign()
    with unchanged():
        switch(campaign, True)
    with unchanged():
        switch(campaign, False, "redemption.completed")


@pytest.mark.parametrize(("event", "channel"), [("nothing", "sms"), ("login.token", "fax")])
def test_switch_of_nothing_is_refused(event: str, channel: str):
    campaign = factories.campaign()
    with refused(Invalid):
        switch(campaign, False, event, channel)
