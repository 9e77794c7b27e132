"""A campaign's messages: the table of switches, and the page on which their texts are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from tests import factories
from tests.admin.conftest import page
from tests.admin.trees import Tree
from tests.statements import record_statements
from tests.stories import STAFF, unchanged
from twofa.admin.messages import _VALUES
from twofa.flows import messages
from twofa.models import KINDS, Campaign, Event, MessageTemplate
from twofa.texts import known

pytestmark = pytest.mark.django_db

EDITOR = ("view_campaign", "change_messages")
TEXT = "{{ amount }} {{ unit }}, {{ item }}. {{ token }}"
SAVE, PREVIEW = {"_save": "Save"}, {"_preview": "Preview"}


@pytest.fixture
def campaign(db: None) -> Campaign:
    return factories.campaign(name="Summer")


@pytest.fixture
def editor(staff: Callable[..., Client]) -> Client:
    return staff(*EDITOR)


def table(campaign: Campaign) -> str:
    return page("campaign", "messages", campaign.pk)


def text_of(campaign: Campaign, event: str = "redemption.token", channel: str = "sms") -> str:
    return page("campaign", "message", campaign.pk, event, channel)


def typed(client: Client, address: str, **values: str) -> dict[str, Any]:
    """What the form of a page sends, with what is typed into it: ``pt_br__text`` is the Portuguese text."""
    shown = Tree(client.get(address).content.decode()).forms[-1].values
    own = {name.replace("__", "-").replace("pt_br", "pt-br"): value for name, value in values.items()}
    return {**shown, **own}


def said(client: Client, response: Any) -> list[str]:
    assert response.status_code == 302
    shown = client.get(response["Location"])
    return [f"{message.level_tag}: {message}" for message in get_messages(shown.wsgi_request)]


# --- switches ---------------------------------------------------------------------------------------------------------


def test_every_message_is_listed_on_every_channel_with_its_state(campaign: Campaign, editor: Client):
    messages.write(
        campaign, actor=STAFF, event="login.token", channel="sms", locale="pt-br", parts={"text": "{{ token }}"}
    )
    messages.switch(campaign, actor=STAFF, event="login.token", channel="email", is_on=False)
    response = editor.get(table(campaign))
    rows = {row.event: row for row in (*response.context["tokens"], *response.context["notices"])}

    assert list(rows) == list(KINDS)
    assert [(cell.channel, cell.is_on, cell.own) for cell in rows["login.token"].cells] == [
        ("sms", True, "pt-br"),
        ("whatsapp", True, ""),
        ("email", False, ""),
    ]
    assert not any(cell.is_on for cell in rows["redemption.completed"].cells)
    assert all(text_of(campaign, row.event, cell.channel) == cell.url for row in rows.values() for cell in row.cells)


def test_switch_is_turned_once_however_often_it_is_pressed(campaign: Campaign, editor: Client):
    sent = {"event": "login.token", "channel": "sms", "is_on": "off"}
    first, second = editor.post(table(campaign), sent), editor.post(table(campaign), sent)

    assert not Campaign.objects.get(pk=campaign.pk).sends("login.token", "sms")
    (event,) = Event.objects.filter(type="campaign.message_switched")
    assert event.actor == "maria"
    assert "success: The message was switched off." in said(editor, first)
    assert second.status_code == 302
    editor.post(table(campaign), {**sent, "is_on": "on"})
    assert Campaign.objects.get(pk=campaign.pk).message_switches == {}


@pytest.mark.parametrize("sent", [{"event": "x"}, {"channel": "fax"}, {"is_on": "maybe"}, {"is_on": ""}])
def test_switch_of_nothing_changes_nothing(campaign: Campaign, editor: Client, sent: dict[str, str]):
    with unchanged():
        response = editor.post(table(campaign), {"event": "login.token", "channel": "sms", "is_on": "off", **sent})

    assert response.status_code == 200


def test_who_may_only_look_sees_no_switch_and_turns_none(campaign: Campaign, staff: Callable[..., Client]):
    looker = staff("view_campaign")
    shown = looker.get(table(campaign)).content.decode()
    with unchanged():
        refused = [
            looker.post(table(campaign), {"event": "login.token", "channel": "sms", "is_on": "off"}),
            looker.post(text_of(campaign), {"en-text": TEXT, **SAVE}),
            looker.post(text_of(campaign), {"en-text": TEXT, **PREVIEW}),
        ]

    assert [response.status_code for response in refused] == [403] * 3
    assert "Switch off" not in shown
    assert "<textarea" not in looker.get(text_of(campaign)).content.decode()


def test_nobody_looks_without_a_permission(campaign: Campaign, staff: Callable[..., Client]):
    stranger = staff("change_messages")

    assert [stranger.get(address).status_code for address in (table(campaign), text_of(campaign))] == [403, 403]


def test_table_costs_the_same_with_many_texts(campaign: Campaign, editor: Client):
    def cost() -> int:
        with record_statements() as statements:
            editor.get(table(campaign))
        return len(statements)

    before = cost()
    for event in KINDS:
        MessageTemplate.objects.create(
            campaign=campaign, event=event, channel="sms", locale="es", text="x", updated_at=campaign.created_at
        )

    assert cost() == before <= 10


# --- texts ------------------------------------------------------------------------------------------------------------


def test_texts_of_all_languages_are_saved_together(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    response = editor.post(address, typed(editor, address, pt_br__text=f"Oi {TEXT}", en__text=f"Hi {TEXT}") | SAVE)

    assert said(editor, response)[-1].startswith("success: The texts were saved.")
    assert messages.texts_of(campaign, "redemption.token", "sms") == {
        "pt-br": {"text": f"Oi {TEXT}"},
        "en": {"text": f"Hi {TEXT}"},
    }
    rows = Event.objects.filter(type="message_template.changed").values_list("actor", "data__locale")
    assert sorted(rows) == [("maria", "en"), ("maria", "pt-br")]


def test_emptied_text_is_ours_again(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    editor.post(address, typed(editor, address, es__text=TEXT) | SAVE)
    editor.post(address, typed(editor, address, es__text="") | SAVE)

    assert not MessageTemplate.objects.exists()
    assert Event.objects.filter(type="message_template.removed").count() == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no token", "It must show"),
        (f"{TEXT} {{{{ secret }}}}", "“secret” is not known in this message. Known: campaign"),
        ("{% include 'x' %}" + TEXT, "Line 1, character 1: “{% include &#x27;x&#x27; %}” is not allowed here"),
        (f"{TEXT} evil.example", "Links"),
        ("x" * 700, "At most 600"),
    ],
)
@pytest.mark.parametrize("button", [SAVE, PREVIEW])
def test_fault_is_told_beside_its_field_and_nothing_is_saved(
    campaign: Campaign, editor: Client, text: str, words: str, button: dict[str, str]
):
    address = text_of(campaign)
    sent = typed(editor, address, en__text=TEXT, es__text=text) | button
    with unchanged():
        response = editor.post(address, sent)

    shown = response.content.decode()
    assert response.status_code == 200
    assert [list(form.errors) for _language, form, _ours in response.context["languages"]] == [[], ["text"], []]
    assert words in shown
    assert shown.count(words) == 1, "beside its field, and not in the preview again"
    faults = [preview.fault for preview in response.context["previews"]]
    assert (faults[0], bool(faults[1]), faults[2]) == ("", True, "")


def test_all_that_is_wrong_with_a_text_is_told_at_once(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    text = "{% load i18n %}{{ amoun }} {{ item }}"
    with unchanged():
        response = editor.post(address, typed(editor, address, en__text=text) | SAVE)

    (told,) = (list(form.errors["text"]) for _language, form, _ours in response.context["languages"] if form.errors)
    assert [said.partition(" is not ")[0] for said in told[:2]] == [
        "Line 1, character 1: “{% load i18n %}”",
        "Line 1, character 16: “amoun”",
    ]
    assert told[2].startswith("It must show {{ amount }}, {{ token }}, in every case")
    assert len(told) == 3


def test_preview_shows_what_would_be_sent_and_saves_nothing(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    with unchanged():
        response = editor.post(address, typed(editor, address, en__text=f"Não 🎧 {TEXT}") | PREVIEW)
    portuguese, _spanish, english = response.context["previews"]

    assert english.text == "Não 🎧 15,000 points, Wireless headphones. 7K2M9Q"
    assert english.size == "one SMS: 49 characters of UCS-2"
    assert "7K2M9Q" in portuguese.text
    assert portuguese.size.startswith("one SMS: ")
    assert "GSM-7" in portuguese.size


def test_preview_of_a_long_text_says_what_it_costs(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    response = editor.post(address, typed(editor, address, en__text="x" * 200 + " " + TEXT) | PREVIEW)

    assert response.context["previews"][2].size.startswith("2 SMS, each paid for: 2")


def test_preview_of_a_mail_shows_its_html_as_it_reads(campaign: Campaign, editor: Client):
    address = text_of(campaign, channel="email")
    html = "<h1>{{ campaign }}</h1><p>{{ amount }} {{ item }}: <strong>{{ token }}</strong></p>"
    sent = typed(editor, address, en__text=TEXT, en__html=html, en__subject="{{ campaign }}!") | PREVIEW
    response = editor.post(address, sent)

    assert response.context["previews"][2].subject == "Summer!"
    assert "<h1>Summer</h1><p>15,000 Wireless headphones: <strong>7K2M9Q</strong></p>" in response.content.decode()


@pytest.mark.parametrize(
    "html", ["<script>x</script>", "<img src=x onerror=x>", "</div></div>", "<p onclick=x>", "<!--"]
)
def test_hostile_html_is_never_part_of_the_page(campaign: Campaign, editor: Client, html: str):
    Campaign.objects.filter(pk=campaign.pk).update(name="<i>Summer</i>")
    address = text_of(campaign, channel="email")
    before = Tree(editor.get(address).content.decode())
    body = f"{html}{{{{ amount }}}} {{{{ item }}}} {{{{ token }}}}"
    response = editor.post(address, typed(editor, address, en__text=TEXT, en__html=body) | PREVIEW)
    after = Tree(response.content.decode())

    assert response.context["previews"][2].fault
    for name in ("script", "img", "i"):
        assert count(after, name) == count(before, name)
    assert len(after.comments) == len(before.comments)
    assert not [element for element in after.elements if {"onclick", "onerror"} & set(element.attributes)]


def count(tree: Tree, name: str) -> int:
    return sum(element.name == name for element in tree.elements)


def test_text_that_a_colleague_changed_meanwhile_is_kept(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    sent = typed(editor, address, en__text=f"mine {TEXT}") | SAVE
    messages.write(
        campaign, actor=STAFF, event="redemption.token", channel="sms", locale="en", parts={"text": f"theirs {TEXT}"}
    )
    with unchanged():
        response = editor.post(address, sent)

    assert "error: Somebody else changed this text meanwhile" in said(editor, response)[-1]


def test_saving_what_is_there_says_so(campaign: Campaign, editor: Client):
    address = text_of(campaign)
    response = editor.post(address, typed(editor, address) | SAVE)

    assert said(editor, response) == ["info: Nothing was changed: it was like this already."]
    assert not Event.objects.filter(type__startswith="message_template").exists()


def test_lines_of_a_browser_are_stored_as_lines(campaign: Campaign, editor: Client):
    address = text_of(campaign, channel="whatsapp")
    sent = typed(editor, address, en__text=f"Hi\r\n\r\n{TEXT}") | SAVE
    editor.post(address, sent)
    again = editor.post(address, typed(editor, address) | SAVE)

    assert MessageTemplate.objects.get().text == f"Hi\n\n{TEXT}"
    assert "info: Nothing was changed" in said(editor, again)[-1]


def test_page_of_no_message_is_absent(campaign: Campaign, editor: Client):
    assert editor.get(text_of(campaign, "nothing.token")).status_code == 404
    # No address of ours: Django looks for a campaign of that name, and leads home.
    assert editor.get(text_of(campaign).replace("/sms/", "/fax/")).status_code == 302


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "email"])
def test_every_message_has_its_page_with_its_variables(campaign: Campaign, editor: Client, channel: str):
    for event in KINDS:
        response = editor.get(text_of(campaign, event, channel))
        assert [name.strip("{} ") for name, _meaning, _needed in response.context["variables"]] == list(known(event))
        assert [preview.fault for preview in response.context["previews"]] == ["", "", ""]
        assert all(ours for _language, _form, ours in response.context["languages"])


def test_every_variable_has_words():
    assert {name for event in KINDS for name in known(event)} == set(_VALUES)
