from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from twofa import channels, exceptions
from twofa.channels import Channel, Message, Receipt
from twofa.testing import ChannelContract


def test_message_and_receipt_do_not_change():
    with pytest.raises(FrozenInstanceError):
        ChannelContract().make_message().token = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Receipt().provider_message_id = "x"  # type: ignore[misc]


def test_message_needs_no_more_than_an_address_and_a_text():
    message = Message(recipient="+5511987650034", text="Hello")

    assert (message.token, message.subject, message.html, message.challenge_id) == ("", "", "", None)


def test_channel_that_does_not_send_cannot_be_built():
    class Mute(Channel):
        pass

    with pytest.raises(TypeError, match="send"):
        Mute()  # type: ignore[abstract]


def test_error_is_one_class_by_both_of_its_names():
    assert channels.DeliveryError is exceptions.DeliveryError
