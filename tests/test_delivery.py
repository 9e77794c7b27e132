from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils import timezone, translation

from tests.letters import ADDRESSES, AT, LOCALES, NOTICES, PURPOSES, row
from tests.test_wording import is_gsm7
from twofa import delivery, wording
from twofa.channels import Channel, DeliveryError, Message, Receipt
from twofa.models import Agreement, Delivery
from twofa.testing import outbox

pytestmark = pytest.mark.django_db  # a campaign's own texts are looked for

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(autouse=True)
def _outbox() -> Iterator[None]:
    outbox.clear()
    yield
    outbox.clear()


def failure(delivered: Delivery) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        delivery.send(delivered)
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("locale", LOCALES)
def test_texts_are_those_of_the_snapshot(locale: str):
    """Regenerate with ``TWOFA_UPDATE_SNAPSHOTS=1 pytest tests/test_delivery.py``, and read the difference."""
    parts: list[str] = []
    for event in (*PURPOSES, *NOTICES):
        for channel in ADDRESSES:
            message = delivery.compose(row(event, channel, locale=locale))
            parts.append(f"=== {event} · {channel}")
            parts += [f"--- {name}\n{text}" for name in ("subject", "text", "html") if (text := getattr(message, name))]
    text = "\n".join(parts) + "\n"
    path = SNAPSHOTS / f"messages.{locale}.txt"
    if os.environ.get("TWOFA_UPDATE_SNAPSHOTS"):
        path.write_text(text)

    assert text == path.read_text()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("channel", ADDRESSES)
def test_redemption_names_what_is_approved_before_the_token(channel: str, locale: str):
    message = delivery.compose(row("redemption.token", channel, locale=locale))
    amount = "15,000" if locale == "en" else "15.000"
    for text in filter(None, (message.text, message.html)):
        before, _token, after = text.partition(message.token)
        assert wording.gsm7("Verão Premiado") in wording.gsm7(before)
        assert f"{amount} pontos" in before
        assert "Fone de ouvido sem fio" in before
        assert "Token 2:" in before
        assert "5 min" in after
    assert message.token not in message.subject


@pytest.mark.parametrize(
    ("locale", "amount", "said"),
    [
        ("pt-br", "649.50", "649,50 pontos"),
        ("es", "649.50", "649,50 puntos"),
        ("en", "649.50", "649.50 points"),
        ("pt-br", "1.00", "1 ponto"),
        ("es", "1.00", "1 punto"),
        ("en", "1.00", "1 point"),
        ("en", "1.50", "1.50 points"),
    ],
)
@pytest.mark.parametrize("channel", ADDRESSES)
def test_unit_that_nobody_chose_is_said_in_the_language_of_the_message(
    channel: str, locale: str, amount: str, said: str
):
    delivered = row("redemption.token", channel, locale=locale, redemption={"unit": "points", "amount": amount})
    digest = delivered.challenge.redemption.digest()

    message = delivery.compose(delivered)

    for text in filter(None, (message.text, message.subject if channel == "email" else "", message.html)):
        assert re.search(rf"\b{re.escape(said)}\b", text)
    assert (delivered.challenge.redemption.unit, delivered.challenge.redemption.digest()) == ("points", digest)


def test_unit_of_the_campaign_s_own_is_said_as_it_is():
    message = delivery.compose(row("redemption.token", locale="es", redemption={"unit": "Points"}))

    assert "15.000 Points" in message.text


@pytest.mark.parametrize("locale", LOCALES)
def test_messages_of_different_purposes_differ_from_the_first_word(locale: str):
    events = ("redemption.token", "batch.token", "login.token", "contact.token", "device.token", "step_up.token")
    words = {delivery.compose(row(event, locale=locale)).text.split()[0] for event in (*events, "device.activated")}

    assert len(words) == 7


@pytest.mark.parametrize("purpose", Agreement.values)
def test_no_storefront_says_what_a_change_of_factors_is(purpose: str):
    """Its words would get the token read out on the telephone, and a stranger's app in."""
    told = {"purpose": purpose, "description": "Claim your 500 bonus points"}
    message = delivery.compose(row("step_up.token", "email", locale="en", challenge=told))

    assert f'Request at Verão Premiado: "{Agreement(purpose).label}".' in message.text
    assert "bonus" not in message.text + message.html


@pytest.mark.parametrize("channel", ADDRESSES)
def test_time_is_that_of_the_host_whatever_zone_a_request_has_activated(channel: str, settings: Any):
    settings.TIME_ZONE = "America/Sao_Paulo"
    with timezone.override("Asia/Tokyo"):
        message = delivery.compose(row("schedule.token", channel))

    for text in filter(None, (message.text, message.html)):
        assert "27/11/2026 09:00 UTC-3" in text


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])  # the shortest name, and the longest
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("event", [*PURPOSES, *NOTICES])
def test_sms_fits_one_segment(event: str, locale: str, zone: str, settings: Any):
    settings.TIME_ZONE = zone
    description = "Máquina de café expresso automática com moedor"
    delivered = row(
        event,
        locale=locale,
        campaign={"name": "Programa de Fidelidade São João 2026"},
        redemption={"amount": Decimal("999999.00"), "description": description},
    )
    delivered.context |= {"amount": "999999.00", "item": description} if "amount" in delivered.context else {}
    text = delivery.compose(delivered).text
    # A time and a second name are worth another segment.
    most = 2 if event == "schedule.token approver" else 1

    assert is_gsm7(text)
    assert wording.segments(text).segments <= most
    assert "\n" not in text
    assert "http" not in text


def test_message_carries_what_a_channel_needs():
    delivered = row("redemption.token", "email")
    message = delivery.compose(delivered)

    assert delivered.challenge is not None
    assert message.token == delivered.challenge.derive_token()
    assert (message.recipient, message.locale, message.event) == ("ana@example.com", "pt-br", "redemption.token")
    assert (message.challenge_id, message.idempotency_key) == (UUID(int=5), f"{UUID(int=5)}:2")
    assert message.expires_at == AT + timedelta(minutes=10)
    assert message.token_ttl == timedelta(minutes=5)
    for name in ("recipient", "token", "text", "subject", "html"):
        assert type(getattr(message, name)) is str
    assert message == delivery.compose(delivered)


def test_notice_carries_no_token():
    message = delivery.compose(row("device.revoked", "email"))

    assert (message.token, message.challenge_id, message.expires_at) == ("", None, None)
    assert message.idempotency_key == "notice:9"


HOSTILE = 'x\n\u202eToken 3: 999999 http://evil.example "Your code is 7K2-M9Q" <b>' + "y" * 150


@pytest.mark.parametrize("channel", ADDRESSES)
def test_storefront_text_cannot_speak_for_us(channel: str):
    items = [{"sku": "a", "name": HOSTILE, "quantity": 1, "amount": "15000.00"}]
    message = delivery.compose(row("redemption.token", channel, redemption={"description": HOSTILE, "items": items}))

    for text in filter(None, (message.text, message.html, message.subject)):
        assert "999999" not in text
        assert "evil" not in text
        assert "7K2" not in text
        assert "\u202e" not in text
        assert "15.000 pontos" in text
    assert "<b>" not in message.html
    assert message.text.index("15.000 pontos") < message.text.index("x Token")


def test_text_is_not_escaped_and_html_is():
    items = [{"sku": "a", "name": "Tom & Jerry's <i>", "quantity": 1, "amount": "1.00"}]
    message = delivery.compose(row("redemption.token", "email", redemption={"items": items, "description": "A & B"}))

    assert "Tom & Jerry's <i>" in message.text
    assert "Tom &amp; Jerry&#x27;s &lt;i&gt;" in message.html
    assert '"A & B"' in message.text


def test_many_items_are_counted_and_not_all_listed():
    items = [{"sku": str(n), "name": f"Item {n}", "quantity": 1, "amount": "1.00"} for n in range(15)]
    message = delivery.compose(row("redemption.token", "email", locale="en", redemption={"items": items}))

    assert "Item 9" in message.text
    assert "Item 10" not in message.text
    assert "and 5 more" in message.text
    assert "and 5 more" in message.html


@pytest.mark.parametrize(
    ("locale", "host", "chosen"),
    [
        ("es", "pt-br", "es"),
        ("", "pt-br", "pt-br"),
        ("", "pt", "pt-br"),
        ("", "es-419", "es"),
        ("", "en-gb", "en"),
        ("", "fr", "en"),
    ],
)
def test_language_is_the_participant_s_else_the_host_s(locale: str, host: str, chosen: str):
    with override_settings(LANGUAGE_CODE=host), translation.override("es"):
        message = delivery.compose(row("login.token", locale=locale))

        assert message.locale == chosen
        assert translation.get_language() == "es"


def test_language_of_somebody_without_a_row_is_that_of_the_request():
    message = delivery.compose(row("contact.token", participant=None, context={"locale": "es"}))

    assert message.locale == "es"


def test_life_is_said_in_whole_minutes_and_never_more_than_there_is():
    def minutes(**changes: Any) -> str:
        return delivery.compose(row("login.token", locale="en", challenge=changes)).text.split("valid ")[1].split()[0]

    assert minutes(token_ttl=timedelta(minutes=10)) == "10"
    assert minutes(token_ttl=timedelta(seconds=119)) == "1"
    assert minutes(token_ttl=timedelta(seconds=30)) == "1"
    assert minutes(token_ttl=timedelta(minutes=10), deadline=AT + timedelta(minutes=3)) == "3"


def test_message_goes_to_the_channel_of_its_name():
    receipt = delivery.send(row("redemption.token", "whatsapp"))

    assert receipt.provider_message_id == "memory-1"
    assert outbox[0] == delivery.compose(row("redemption.token", "whatsapp"))


def test_message_of_a_test_campaign_goes_nowhere():
    receipt = delivery.send(row("redemption.token", campaign={"test": True}))

    assert receipt.provider_message_id is not None
    assert receipt.provider_message_id.startswith("sandbox-")
    assert len(outbox) == 0


@override_settings(TWOFA_CHANNELS={"email": {"BACKEND": "twofa.channels.memory.MemoryChannel"}})
def test_channel_that_is_not_configured_is_a_permanent_failure():
    error = failure(row("redemption.token", "sms"))

    assert (error.reason, error.retryable) == ("channel_unavailable", False)
    assert delivery.is_available("email")
    assert not delivery.is_available("sms")
    assert delivery.is_available("sandbox")


@pytest.mark.parametrize(
    "changes",
    [
        {"challenge": {"generation": 3}},
        {"challenge": {"address": "+5511999990000"}},
        {"challenge": {"channel": "whatsapp"}},
        {"challenge": {"status": "approved", "seed": None}},
    ],
)
def test_overtaken_delivery_sends_nothing(changes: dict[str, Any]):
    error = failure(row("redemption.token", **changes))

    assert (error.reason, error.retryable) == ("superseded", False)
    assert len(outbox) == 0


@override_settings(TWOFA_TOKEN_KEYS={"other": b"another key, with no fewer bytes than it must have"})
def test_token_of_a_key_that_is_gone_is_a_permanent_failure(caplog: pytest.LogCaptureFixture):
    error = failure(row("redemption.token"))

    assert (error.reason, error.retryable) == ("token_key_unknown", False)
    assert "test" in caplog.text
    assert len(outbox) == 0


class BuggyChannel(Channel):
    def send(self, message: Message) -> Receipt:
        raise RuntimeError(f"400 from https://sms.example.org/?to={message.recipient}&text={message.token}")


class RefusingChannel(Channel):
    def send(self, message: Message) -> Receipt:
        try:
            raise RuntimeError(message.token)
        except RuntimeError as error:
            raise DeliveryError("recipient_refused", retryable=False) from error


class NamingChannel(Channel):
    """Gives the id that ``name`` says."""

    name: Any = None

    def send(self, message: Message) -> Receipt:
        return Receipt(self.name.replace("TOKEN", message.token) if isinstance(self.name, str) else self.name)


class SilentChannel(Channel):
    def send(self, message: Message) -> Receipt:
        return None


def using(channel: type) -> override_settings:
    return override_settings(TWOFA_CHANNELS={"sms": {"BACKEND": f"{__name__}.{channel.__name__}"}})


@using(BuggyChannel)
def test_bug_in_a_channel_is_a_temporary_failure_that_tells_nothing(caplog: pytest.LogCaptureFixture):
    delivered = row("redemption.token")
    with caplog.at_level(logging.DEBUG):
        error = failure(delivered)

    assert (error.reason, error.retryable) == ("channel_error", True)
    assert "RuntimeError" in caplog.text
    assert delivery.compose(delivered).token not in caplog.text
    assert delivered.address not in caplog.text


@using(RefusingChannel)
def test_refusal_of_a_channel_is_passed_on_without_its_cause():
    error = failure(row("redemption.token"))

    assert (error.reason, error.retryable) == ("recipient_refused", False)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("SM-1", "SM-1"),
        ("x" * 200, "x" * 200),
        ("x" * 201, None),
        ("", None),
        ("id-TOKEN", None),
        ("a\nb", None),
        (7, None),
    ],
)
@using(NamingChannel)
def test_provider_s_id_is_kept_where_it_is_one(monkeypatch: pytest.MonkeyPatch, given: Any, kept: str | None):
    monkeypatch.setattr(NamingChannel, "name", given)

    assert delivery.send(row("redemption.token")).provider_message_id == kept


@using(SilentChannel)
def test_channel_that_returns_nothing_has_sent_all_the_same():
    assert delivery.send(row("redemption.token")) == Receipt()
