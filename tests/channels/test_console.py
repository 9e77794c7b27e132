from __future__ import annotations

from io import StringIO

import pytest

from twofa.channels.console import ConsoleChannel
from twofa.testing import ChannelContract


class TestConsoleChannel(ChannelContract):
    @pytest.fixture(autouse=True)
    def _stream(self) -> None:
        self.stream = StringIO()

    def make_channel(self) -> ConsoleChannel:
        return ConsoleChannel(stream=self.stream)

    def make_failing_channel(self, *, retryable: bool) -> ConsoleChannel | None:
        self.stream.close()
        return self.make_channel() if retryable else None

    def delivered(self) -> list[str]:
        return self.stream.getvalue().split("\n")[3:-2]


def test_message_is_printed_where_the_server_runs(capsys: pytest.CaptureFixture[str]):
    message = ChannelContract().make_message()
    ConsoleChannel().send(message)

    printed = capsys.readouterr().out
    assert message.recipient in printed
    assert message.text in printed


def test_it_is_for_development():
    assert ConsoleChannel.development
