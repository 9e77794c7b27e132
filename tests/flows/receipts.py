"""Posting receipts: a channel that reads them as they are written, and what became of the message."""

from __future__ import annotations

import json

from tests.flows.channels import SETTING, ScriptedChannel
from tests.stories import deliver_due
from twofa.channels import Callback, Receipt, Report
from twofa.flows import receipts
from twofa.models import Delivery, Event


class ReportingChannel(ScriptedChannel):
    """Reads receipts as they are written: `tests/channels` has those that check signatures."""

    providers = ("", "one", "two")

    def read_receipt(self, callback: Callback) -> Report:
        return Report(**json.loads(callback.body))


REPORTING = {"BACKEND": "tests.flows.receipts.ReportingChannel"}
CHANNELS = {**SETTING, "sms": REPORTING, "whatsapp": REPORTING}


def post(status: str, message_id: str = "", *, alias: str = "sms", provider: str = "", **report: str) -> None:
    body = json.dumps({"status": status, "provider_message_id": message_id, **report}).encode()
    receipts.receive(alias, Callback(body=body, provider=provider))


def the_row() -> Delivery:
    return Delivery.objects.latest("id")


def sent(provider_id: str = "m-1", provider: str = "") -> Delivery:
    """Send what is due; the provider gives it that id."""
    ScriptedChannel.follow(Receipt(provider_id, provider=provider))
    deliver_due()
    return the_row()


def told() -> list[str]:
    types = Event.objects.filter(type__startswith="delivery.").order_by("pk").values_list("type", flat=True)
    return [type_.partition(".")[2] for type_ in types]
