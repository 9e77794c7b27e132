from __future__ import annotations

from pathlib import Path

import pytest

from example_project.breakdowns import ENDING, FailingChannel
from twofa.channels import DeliveryError, Message


def message(recipient: str, event: str) -> Message:
    return Message(recipient=recipient, text="7K2M9Q", token="7K2M9Q", event=event)


@pytest.mark.parametrize("event", ["redemption.token", "batch.token", "schedule.token"])
def test_token_of_an_order_is_not_taken_for_such_a_number_and_may_be_tried_again(tmp_path: Path, event: str):
    with pytest.raises(DeliveryError) as refused:
        FailingChannel(tmp_path).send(message(f"+5511999991{ENDING}", event))

    assert (refused.value.reason, refused.value.retryable) == ("provider_unavailable", True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("recipient", "event"),
    [("+5511999990034", "redemption.token"), (f"+5511999991{ENDING}", "device.token")],
)
def test_all_else_is_written(tmp_path: Path, recipient: str, event: str):
    FailingChannel(tmp_path).send(message(recipient, event))

    assert len(list(tmp_path.iterdir())) == 1
