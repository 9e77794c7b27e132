"""The link “it was not me” in messages: where it is, where it is not, and what it holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.letters import ADDRESSES, LOCALES, NOTICES, PURPOSES, row
from tests.test_wording import is_gsm7
from twofa import delivery
from twofa.channels import Message
from twofa.models import Challenge

pytestmark = pytest.mark.django_db  # a campaign's own texts are looked for

SNAPSHOTS = Path(__file__).parent / "snapshots"
PUBLIC_URL = "https://points.example/api/v1"
CONTACT = 7
LINKED = tuple(event for event in PURPOSES if event != "contact.token")


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.TWOFA_PUBLIC_URL = PUBLIC_URL


def sent(event: str, channel: str, *, in_all: bool = False, **changes: Any) -> Message:
    """A message to a device, of a campaign that wants links in all channels or only in e-mails."""
    delivered = row(event, channel, campaign={"links_in_messages": in_all}, **{"device_id": CONTACT, **changes})
    if delivered.challenge is not None and event == "contact.token":
        delivered.challenge.participant = None
    return delivery.compose(delivered)


def link(challenge_id: Any, kid: str = "test") -> str:
    return f"{PUBLIC_URL}/not-me/{challenge_id}/{Challenge(id=challenge_id, kid=kid).denial_seal(CONTACT)}/"


@pytest.mark.parametrize("locale", LOCALES)
def test_texts_are_those_of_the_snapshot(locale: str):
    """Regenerate with ``TWOFA_UPDATE_SNAPSHOTS=1 pytest tests/test_links_in_messages.py``, and read the difference."""
    parts: list[str] = []
    for event in ("redemption.token", "login.token"):
        for channel in ADDRESSES:
            message = sent(event, channel, in_all=True, locale=locale)
            parts.append(f"=== {event} · {channel}")
            parts += [f"--- {name}\n{text}" for name in ("subject", "text", "html") if (text := getattr(message, name))]
    text = "\n".join(parts) + "\n"
    path = SNAPSHOTS / f"messages_with_links.{locale}.txt"
    if os.environ.get("TWOFA_UPDATE_SNAPSHOTS"):
        path.write_text(text)

    assert text == path.read_text()


@pytest.mark.parametrize("event", LINKED)
def test_e_mail_with_the_link_does_not_say_to_do_nothing(event: str, settings: Any):
    message = sent(event, "email", locale="en")
    assert "do nothing" not in message.text + message.html

    settings.TWOFA_PUBLIC_URL = ""
    without = sent(event, "email", locale="en")
    calm = "do nothing" if event != "login.token" else "change it"
    assert calm in without.text
    assert calm in without.html


@pytest.mark.parametrize("event", LINKED)
def test_e_mail_with_a_token_has_the_link(event: str):
    message = sent(event, "email")

    assert link(message.challenge_id) in message.text
    assert f'href="{link(message.challenge_id)}"' in message.html
    assert "not-me" not in message.subject


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
@pytest.mark.parametrize("event", LINKED)
def test_sms_and_whatsapp_have_it_only_where_the_campaign_says_so(event: str, channel: str):
    assert "http" not in sent(event, channel).text
    message = sent(event, channel, in_all=True)

    assert message.text.endswith(link(message.challenge_id))
    assert message.text.index(message.token) < message.text.index("http")


@pytest.mark.parametrize("channel", ADDRESSES)
@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("contact.token", {}),
        ("redemption.token", {"device_id": None}),
        *[(event, {}) for event in NOTICES],
    ],
)
def test_what_nobody_could_act_on_has_no_link(event: str, channel: str, changes: dict[str, Any]):
    message = sent(event, channel, in_all=True, **changes)

    assert "not-me" not in message.text
    assert "not-me" not in (message.html or "")


@pytest.mark.parametrize("unset", [None, ""])
@pytest.mark.parametrize("channel", ADDRESSES)
def test_without_a_public_address_there_is_no_link(channel: str, unset: Any, settings: Any):
    settings.TWOFA_PUBLIC_URL = unset
    message = sent("redemption.token", channel, in_all=True)

    assert "http" not in message.text
    assert "not-me" not in (message.html or "")


def test_slash_at_the_end_of_the_address_is_one_slash(settings: Any):
    settings.TWOFA_PUBLIC_URL = PUBLIC_URL + "/"

    assert f"{PUBLIC_URL}/not-me/" in sent("redemption.token", "email").text


def test_link_holds_an_id_and_a_seal_and_nothing_of_the_person():
    message = sent("redemption.token", "email")
    (address,) = [word for word in message.text.split() if word.startswith(PUBLIC_URL)]
    _empty, page, challenge, seal, _end = address.removeprefix(PUBLIC_URL).split("/")

    assert (page, challenge) == ("not-me", str(message.challenge_id))
    assert len(seal) == 22, "128 bits"


def test_link_is_the_same_when_the_message_is_sent_again():
    assert sent("redemption.token", "email") == sent("redemption.token", "email")


def test_link_to_another_device_is_another_link():
    first, second = (
        sent("redemption.token", "email", device_id=number).text.split() for number in (CONTACT, CONTACT + 1)
    )

    assert [word for word in first if "not-me" in word] != [word for word in second if "not-me" in word]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("event", LINKED)
def test_link_does_not_double_the_price_of_an_sms(event: str, locale: str):
    """One letter outside of the alphabet of SMS would."""
    assert is_gsm7(sent(event, "sms", in_all=True, locale=locale).text)
