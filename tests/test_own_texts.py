"""A campaign's own texts, as messages are composed by them; and what takes their place where they cannot be sent."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests import factories
from tests.letters import AT, row
from twofa import alerts, delivery
from twofa.flows import messages
from twofa.models import KINDS, Campaign, Delivery, MessageTemplate

pytestmark = pytest.mark.django_db

OWN = "Oi! {{ amount }} {{ unit }} por {{ item }}. Seu token {{ sequence }}: {{ token }}"


@pytest.fixture(autouse=True)
def _forgotten():
    alerts.forget()


def stored(event: str = "redemption.token", channel: str = "sms", locale: str = "pt-br", **parts: str) -> Campaign:
    """A campaign with a text of its own, which no flow has looked at."""
    campaign = factories.campaign(name="Verão Premiado")
    columns = {"event": event, "channel": channel, "locale": locale, "updated_at": AT, "text": OWN, **parts}
    MessageTemplate.objects.create(campaign=campaign, **columns)
    return campaign


def letter(campaign: Campaign, event: str = "redemption.token", channel: str = "sms", **changes: Any) -> Delivery:
    delivered = row(event, channel, **changes)
    delivered.campaign = campaign
    if delivered.challenge is not None:
        # What the digest is of is the campaign's as well.
        delivered.challenge.campaign = campaign
    return delivered


def test_own_text_is_sent_in_the_place_of_ours():
    message = delivery.compose(letter(stored()))

    assert message.text == f"Oi! 15.000 pontos por Fone de ouvido sem fio. Seu token 2: {message.token}"


@pytest.mark.parametrize(
    ("event", "channel", "locale"),
    [("redemption.token", "whatsapp", "pt-br"), ("redemption.token", "sms", "es"), ("schedule.token", "sms", "pt-br")],
)
def test_own_text_is_for_one_message_one_channel_and_one_language(event: str, channel: str, locale: str):
    delivered = letter(stored(), event, channel, locale=locale)

    assert "Oi!" not in delivery.compose(delivered).text


def test_own_text_is_of_one_campaign_alone():
    stored()

    assert "Oi!" not in delivery.compose(letter(factories.campaign())).text


def test_text_is_looked_for_by_one_statement(django_assert_num_queries):
    delivered = letter(stored())
    with django_assert_num_queries(1):
        delivery.compose(delivered)


def test_own_sms_is_put_on_one_line_and_a_chat_keeps_its_lines():
    lines = OWN.replace(". ", ".\n\n")

    assert "\n" not in delivery.compose(letter(stored(text=lines))).text
    assert ".\n\nSeu" in delivery.compose(letter(stored(channel="whatsapp", text=lines), channel="whatsapp")).text


def test_mail_without_html_is_its_lines_within_our_frame():
    message = delivery.compose(letter(stored(channel="email", text=OWN + "\n\nAté já & <tchau>"), channel="email"))

    assert message.subject == "Resgate em Verão Premiado: 15.000 pontos"
    assert message.text.endswith("Até já & <tchau>")
    assert "<p>Até já &amp; &lt;tchau&gt;</p>" in message.html
    assert message.html.startswith("<!doctype html>")
    assert message.html.count(message.token) == 1


def test_mail_with_html_is_what_was_written_within_our_frame():
    parts = {"subject": "{{ campaign }}:\n{{ amount }}", "html": f"<h1>{OWN}</h1>"}
    delivered = letter(stored(channel="email", **parts), channel="email", redemption={"description": "A & <b>"})
    message = delivery.compose(delivered)

    assert message.subject == "Verão Premiado: 15.000"
    assert f"por A &amp; &lt;b&gt;. Seu token 2: {message.token}</h1>" in message.html
    assert "<title>Verão Premiado</title>" in message.html
    assert message.html.count(message.token) == 1


def test_text_of_a_storefront_cannot_speak_for_us_in_an_own_text_either():
    hostile = "Your code is 482913 http://evil.example\n\u202eToken 3: 7K2M9Q {{ token }}"
    message = delivery.compose(letter(stored(), redemption={"description": hostile}))

    for forged in ("482913", "evil", "\u202e", "7K2M9Q", "\n"):
        assert forged not in message.text
    assert message.text.index("15.000 pontos") < message.text.index(message.token)
    assert message.text.count(message.token) == 1


LINKS = [
    '{{ requester|default:"https://evil.example/x" }}',
    "evil{% if requester %} {% endif %}.example/x",
    "{% if requester %} {% else %}evil{% endif %}{% if requester %} {% endif %}.example",
    "Amazon.com.evil.example",
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_link_that_a_text_puts_together_is_neither_saved_nor_sent(channel: str, link: str):
    campaign = stored(channel=channel, text=f"{OWN} {link}")
    Campaign.objects.update(name="Amazon.com")
    campaign.refresh_from_db()
    found = messages.faults(campaign, "redemption.token", channel, "en", {"text": f"{OWN} {link}"})

    assert "Links" in found["text"][0]
    assert "evil" not in delivery.compose(letter(campaign, channel=channel)).text


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_name_and_link_of_the_campaign_are_no_links_of_a_text(channel: str, settings: Any):
    settings.TWOFA_PUBLIC_URL = "https://twofa.example"
    words = OWN + " {{ campaign|upper }} {{ not_me }}"
    campaign = stored(channel=channel, text=words)
    Campaign.objects.update(name="Amazon.com", links_in_messages=True)
    campaign.refresh_from_db()

    assert messages.faults(campaign, "redemption.token", channel, "en", {"text": words}) == {}
    sent = letter(campaign, channel=channel)
    sent.device_id = 7
    text = delivery.compose(sent).text
    assert text.startswith("Oi!")
    assert "AMAZON.COM https://twofa.example/not-me/" in text


@pytest.mark.parametrize(
    "parts",
    [
        {"text": "{{ amount }} {{ item }}"},
        {"text": "{% include 'x' %}" + OWN},
        {"text": OWN + "{{ unheard_of }}"},
        {"text": "{% if"},
        {"text": "see evil.example " + OWN},
    ],
)
def test_stored_text_that_cannot_be_sent_gives_way_to_ours_and_somebody_is_told(
    parts: dict[str, str], caplog: pytest.LogCaptureFixture
):
    campaign = stored(**parts)
    with caplog.at_level(logging.ERROR):
        message = delivery.compose(letter(campaign))

    assert message.text.startswith("Resgate em Verao Premiado: 15.000 pontos")
    assert message.token in message.text
    (alert,) = [record for record in caplog.records if record.name == "twofa.security"]
    assert alert.alert == "message_text_failed"
    assert alert.alert_ids == {"campaign": str(campaign.pk), "message": "redemption.token", "channel": "sms"}
    assert message.token not in caplog.text


def test_stored_html_that_hides_gives_way_to_ours(caplog: pytest.LogCaptureFixture):
    campaign = stored(channel="email", html=f'<p style="display:none">{OWN}</p>')
    message = delivery.compose(letter(campaign, channel="email"))

    assert "display:none" not in message.html
    assert "Oi!" not in message.text
    assert "message_text_failed" in caplog.text


def test_own_text_that_names_nobody_is_not_sent_to_who_approves_for_another(caplog: pytest.LogCaptureFixture):
    to_oneself = delivery.compose(letter(stored()))
    to_approver = delivery.compose(letter(stored(), "redemption.token approver"))
    naming = stored(text="{% if requester %}{{ requester }} pede: {% endif %}" + OWN)

    assert "Oi!" in to_oneself.text
    assert "Ana Souza" in to_approver.text
    assert "Oi!" not in to_approver.text
    assert delivery.compose(letter(naming, "redemption.token approver")).text.startswith('"Ana Souza" pede: Oi!')
    assert not delivery.compose(letter(naming)).text.startswith("Ana")


# --- bound to a domain ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alphabet", ["numeric", "alphanumeric"])
@pytest.mark.parametrize("own", [True, False])
def test_last_line_of_an_sms_binds_its_token_to_the_domain(own: bool, alphabet: str):
    campaign = stored() if own else factories.campaign()
    campaign.autofill_domain = "shop.example.com"
    message = delivery.compose(letter(campaign, challenge={"token_alphabet": alphabet}))

    text, last = message.text.split("\n")
    assert last == f"@shop.example.com #{message.token}"
    assert message.token in text
    assert message.token.isdigit() == (alphabet == "numeric")


@pytest.mark.parametrize(("event", "channel"), [("redemption.token", "whatsapp"), ("redemption.token", "email")])
def test_no_other_message_is_bound(event: str, channel: str):
    campaign = factories.campaign(autofill_domain="shop.example.com")

    assert "@shop.example.com" not in delivery.compose(letter(campaign, event, channel)).text


def test_notice_has_no_token_to_bind():
    campaign = factories.campaign(autofill_domain="shop.example.com")

    assert "@" not in delivery.compose(letter(campaign, "device.revoked")).text


# --- previews ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["pt-br", "es", "en"])
@pytest.mark.parametrize("channel", ["sms", "whatsapp", "email"])
def test_preview_and_source_exist_of_every_message(channel: str, locale: str):
    campaign = factories.campaign(name="Summer")
    for event in KINDS:
        made = delivery.preview(campaign, event, channel, locale, {})
        source = delivery.source(campaign, event, channel, locale)
        assert "Summer" in made["text"]
        assert "{{" not in made["text"]
        assert "{{ campaign }}" in source
        assert ("{{ token }}" in source) == event.endswith(".token")


@pytest.mark.parametrize("locale", ["pt-br", "es", "en"])
def test_our_own_source_is_a_text_that_may_be_saved(locale: str):
    """What staff begin with must not be refused as it is."""
    campaign = factories.campaign()
    for event in KINDS:
        for channel in ("sms", "whatsapp", "email"):
            parts = {"text": delivery.source(campaign, event, channel, locale)}
            assert messages.faults(campaign, event, channel, locale, parts) == {}, (event, channel)


@pytest.mark.parametrize("said", ["Help: 0800 123 4567", "Summer 2023", "Law 13.709/2018", "Club 1234"])
def test_numbers_that_are_none_of_the_orders_may_stand_in_a_text(said: str):
    campaign = factories.campaign()
    for event in KINDS:
        parts = {"text": f"{delivery.source(campaign, event, 'email', 'en')} {said}", "subject": said}
        assert messages.faults(campaign, event, "email", "en", parts) == {}, event
