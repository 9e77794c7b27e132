from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twofa.channels.memory import MemoryChannel
from twofa.testing import ChannelContract, outbox


class TestMemoryChannel(ChannelContract):
    @pytest.fixture(autouse=True)
    def _outbox(self) -> None:
        outbox.clear()

    def make_channel(self) -> MemoryChannel:
        return MemoryChannel()

    def delivered(self) -> list[str]:
        return [message.text for message in outbox]


@pytest.fixture(autouse=True)
def _outbox() -> None:
    outbox.clear()


def test_outbox_gives_messages_in_order_and_by_recipient():
    for number in range(3):
        MemoryChannel().send(ChannelContract().make_message(recipient=f"+551199999000{number % 2}", text=str(number)))

    assert len(outbox) == 3
    assert outbox[-1].text == "2"
    assert [message.text for message in outbox] == ["0", "1", "2"]
    assert [message.text for message in outbox.to("+5511999990000")] == ["0", "2"]
    outbox.clear()
    assert list(outbox) == []


def test_outbox_hides_what_it_holds():
    message = ChannelContract().make_message()
    MemoryChannel().send(message)

    assert repr(outbox) == "<Outbox of 1>"


def test_outbox_loses_nothing_to_threads(threads: Callable[[list[Callable[[], object]]], list[Any]]):
    channel, message = MemoryChannel(), ChannelContract().make_message()
    receipts = threads([lambda: channel.send(message)] * 10)

    assert len(outbox) == 10
    assert len({receipt.provider_message_id for receipt in receipts}) == 10


def test_it_is_for_development():
    assert MemoryChannel.development
