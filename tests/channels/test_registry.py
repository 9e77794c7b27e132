from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from twofa.channels import Channel, Message, Receipt, get_channel, is_configured
from twofa.channels.memory import MemoryChannel
from twofa.channels.sandbox import SandboxChannel

HERE = f"{__name__}.OwnChannel"


class OwnChannel(Channel):
    def __init__(self, *, key: str = "") -> None:
        self.key = key

    def send(self, message: Message) -> Receipt:
        return Receipt()


@override_settings(TWOFA_CHANNELS={"sms": {"BACKEND": HERE, "OPTIONS": {"key": "k"}}})
def test_options_are_the_constructor_s_arguments():
    channel = get_channel("sms")

    assert isinstance(channel, OwnChannel)
    assert channel.key == "k"


def test_channel_is_built_once():
    assert get_channel("sms") is get_channel("sms")


def test_change_of_settings_is_noticed():
    before = get_channel("sms")
    with override_settings(TWOFA_CHANNELS={"sms": {"BACKEND": HERE}}):
        assert isinstance(get_channel("sms"), OwnChannel)

    assert isinstance(before, MemoryChannel)
    assert isinstance(get_channel("sms"), MemoryChannel)


@override_settings(TWOFA_CHANNELS={})
def test_sandbox_is_there_without_being_configured():
    assert isinstance(get_channel("sandbox"), SandboxChannel)
    assert is_configured("sandbox")
    assert not is_configured("sms")


@override_settings(TWOFA_CHANNELS={"sandbox": {"BACKEND": HERE}})
def test_sandbox_can_be_replaced():
    assert isinstance(get_channel("sandbox"), OwnChannel)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"BACKEND": "nowhere.Channel"},
        {"BACKEND": "twofa.channels.http.Missing"},
        {"BACKEND": "collections.OrderedDict"},
        HERE,
        {"BACKEND": HERE, "OPTIONS": {"unknown": 1}},
        {"BACKEND": HERE, "OPTIONS": None},
        {"BACKEND": "twofa.channels.http.HttpChannel", "OPTIONS": {"url": "ftp://x/", "body": {}}},
    ],
)
def test_entry_that_cannot_work_is_told(entry: Any):
    with override_settings(TWOFA_CHANNELS={"sms": entry}), pytest.raises(ImproperlyConfigured, match="sms"):
        get_channel("sms")


def test_unknown_alias_is_told():
    with pytest.raises(ImproperlyConfigured, match="pigeon"):
        get_channel("pigeon")
