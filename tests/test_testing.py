"""The contract itself: each broken channel must be told so by it."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import Any

import pytest

from twofa.channels import Channel, DeliveryError, Message, Receipt
from twofa.testing import ChannelContract

logger = logging.getLogger("somebody.elses.channel")


class Good(Channel):
    def send(self, message: Message) -> Receipt:
        return Receipt()


class ReturnsNothing(Good):
    def send(self, message: Message) -> Receipt:
        return None


class LongId(Good):
    def send(self, message: Message) -> Receipt:
        return Receipt("x" * 201)


class Shows(Good):
    def __init__(self) -> None:
        self.last: Message | None = None

    def __repr__(self) -> str:
        return "Shows(+5511987650034)"


class Logs(Good):
    def send(self, message: Message) -> Receipt:
        logger.debug("sending %s", message.text)
        return Receipt()


class Raises(Good):
    """What ``error`` makes of a message is raised."""

    def __init__(self, error: Any) -> None:
        self.error = error

    def send(self, message: Message) -> Receipt:
        raise self.error(message)


class Chains(Good):
    def send(self, message: Message) -> Receipt:
        try:
            raise RuntimeError(message.recipient)
        except RuntimeError:
            raise DeliveryError("connection", retryable=True) from None


class Sleeps(Good):
    def send(self, message: Message) -> Receipt:
        time.sleep(0.2)
        return Receipt()


class Ascii(Good):
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, message: Message) -> Receipt:
        self.sent.append(message.text.encode("ascii", "replace").decode())
        return Receipt()


def contract(made: Channel, *, failing: Channel | None = None, hanging: Channel | None = None) -> ChannelContract:
    class Contract(ChannelContract):
        seconds = 0.1

        def make_channel(self) -> Channel:
            return made

        def make_failing_channel(self, *, retryable: bool) -> Channel | None:
            return failing

        def make_hanging_channel(self) -> Channel | None:
            return hanging

        def delivered(self) -> list[str] | None:
            return made.sent if isinstance(made, Ascii) else None

    return Contract()


def error(message: Message) -> DeliveryError:
    return DeliveryError("provider_busy", retryable=True)


def talkative(message: Message) -> DeliveryError:
    return DeliveryError(f"no such number {message.recipient}", retryable=True)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (contract(ReturnsNothing()), "test_message_that_is_accepted_gives_a_receipt"),
        (contract(LongId()), "test_message_that_is_accepted_gives_a_receipt"),
        (contract(ReturnsNothing()), "test_repetition_of_a_message_is_accepted"),
        (contract(Ascii()), "test_text_in_any_alphabet_arrives_as_it_is"),
        (contract(Shows()), "test_representations_hide_the_message"),
        (contract(Logs()), "test_log_hides_the_message"),
        (contract(Good(), failing=Good()), "test_temporary_failure_is_told_as_temporary"),
        (contract(Good(), failing=Raises(error)), "test_permanent_failure_is_told_as_permanent"),
        (contract(Good(), failing=Raises(talkative)), "test_temporary_failure_is_told_as_temporary"),
        (contract(Good(), failing=Raises(lambda _message: OSError())), "test_temporary_failure_is_told_as_temporary"),
        (contract(Good(), failing=Chains()), "test_temporary_failure_is_told_as_temporary"),
        (contract(Good(), hanging=Sleeps()), "test_hanging_provider_does_not_hold_the_worker"),
        (contract(Good(), hanging=Raises(talkative)), "test_hanging_provider_does_not_hold_the_worker"),
        (ChannelContract(), "test_log_hides_the_message"),
    ],
)
def test_broken_channel_is_told_so(broken: ChannelContract, test: str):
    with pytest.raises(AssertionError, match=r"Broken contract|must define"):
        getattr(broken, test)()


def test_good_channel_passes_every_test():
    good = contract(Good(), hanging=Raises(error))
    for name in dir(good):
        if name.startswith("test_"):
            getattr(good, name)()


def test_temporary_failure_passes():
    contract(Good(), failing=Raises(error)).test_temporary_failure_is_told_as_temporary()


def test_no_test_runner_is_needed():
    """A host that tests with unittest imports it without pytest."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from django.conf import settings; settings.configure()\n"
        "import twofa.testing"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
