from __future__ import annotations

from typing import Any

import pytest

from twofa.channels import DeliveryError
from twofa.channels.sandbox import SandboxChannel
from twofa.testing import ChannelContract


class TestSandboxChannel(ChannelContract):
    def make_channel(self) -> SandboxChannel:
        return SandboxChannel()


def test_receipt_is_the_same_for_a_repetition_and_another_for_another_message():
    channel = SandboxChannel()
    first, again, other = (
        channel.send(ChannelContract().make_message(idempotency_key=key)) for key in ("a:1", "a:1", "a:2")
    )

    assert first == again != other


def test_nothing_of_the_message_is_kept():
    channel = SandboxChannel()
    channel.send(ChannelContract().make_message())

    assert vars(channel) == {}


@pytest.mark.parametrize("changes", [{"recipient": ""}, {"text": ""}, {"text": "no token"}])
def test_message_that_no_provider_would_take_is_refused(changes: dict[str, Any]):
    with pytest.raises(DeliveryError) as caught:
        SandboxChannel().send(ChannelContract().make_message(**changes))

    assert (caught.value.reason, caught.value.retryable) == ("message_invalid", False)


def test_it_is_for_production_too():
    assert not SandboxChannel.development
