"""The pages on channels, run."""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings
from pytest_httpserver import HTTPServer

from tests.example.blocks import Block, blocks_of
from twofa.channels import Callback, get_channel
from twofa.channels.http import HttpChannel
from twofa.channels.memory import MemoryChannel
from twofa.checks import channels as channel_checks
from twofa.testing import ChannelContract, outbox

ADD = blocks_of("docs/howto/add-a-channel.md")
GATEWAYS = blocks_of("docs/howto/connect-a-gateway.md")
GATEWAY = [block for block in GATEWAYS if block.kind == "gateway"]
CHAIN = [block for block in GATEWAYS if block.kind == "chain"]
TWILIO = blocks_of("docs/howto/connect-twilio.md")
SOMETHING = "AC0123456789abcdef0123456789abcdef"
"""What may stand for any of them: an account of Twilio's for one."""
VARIABLES = ("SMS_KEY", "SMS_ACCOUNT", "SMS_RECEIPT_SECRET", "WHATSAPP_KEY", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")


def run(block: Block, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(block.code, block.kind, "exec"), names)  # noqa: S102 - our own page
    return names


class Pager:
    """The provider of the page: answers as it is told, or not at all."""

    def __init__(self) -> None:
        self.answer: str | None = "ok 1"
        self.lines: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _address = self._listener.accept()
            self._clients.append(client)
            line = client.makefile(encoding="utf-8").readline().rstrip("\n")
            if not line:
                return
            self.lines.append(line)
            if self.answer is not None:
                client.sendall(self.answer.encode())

    def stop(self) -> None:
        # An empty line ends the thread; only then may its sockets go.
        with socket.create_connection((self.host, self.port)) as last:
            last.sendall(b"\n")
            self._thread.join(timeout=5)
        self._listener.close()
        for client in self._clients:
            client.close()


@pytest.fixture
def pager() -> Iterator[Pager]:
    server = Pager()
    yield server
    server.stop()


_page: dict[str, Any] = {"__name__": __name__}
for _block in ADD:
    if _block.kind in ("channel", "receipts", "contract"):
        run(_block, _page)

TestPagerChannel = _page["TestPagerChannel"]


def test_contract_of_the_page_is_the_shipped_one():
    assert issubclass(TestPagerChannel, ChannelContract)


def test_outbox_of_the_page_gives_the_token():
    (block,) = [block for block in ADD if block.kind == "outbox"]
    message = ChannelContract().make_message(recipient="+5511999990034")
    sends = block.code.replace("# ... whatever sends a message ...", "channel.send(message)")
    names = run(Block(block.words, block.language, sends), {"channel": MemoryChannel(), "message": message})
    outbox.clear()

    assert names["token"] == message.token
    assert names["all_of_hers"] == [message]


def shop_channels(monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]) -> None:
    """A host's `shop/channels.py` with these names in it."""
    module = ModuleType("shop.channels")
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.channels", module)


def test_settings_of_the_page_name_the_class(pager: Pager, monkeypatch: pytest.MonkeyPatch):
    (block,) = [block for block in ADD if block.kind == "settings"]
    shop_channels(monkeypatch, {"PagerChannel": _page["PagerChannel"]})
    channels = channels_of(block, monkeypatch)
    channels["sms"]["OPTIONS"] |= {"host": pager.host, "port": pager.port}
    with override_settings(TWOFA_CHANNELS=channels):
        receipt = get_channel("sms").send(ChannelContract().make_message())

    assert receipt.provider_message_id == "1"


def channels_of(block: Block, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings of a block, which find nothing amiss at start-up."""
    for name in VARIABLES:
        monkeypatch.setenv(name, SOMETHING)
    channels: dict[str, Any] = run(block, {})["TWOFA_CHANNELS"]
    with override_settings(TWOFA_CHANNELS=channels):
        assert [finding for check in channel_checks.CHECKS for finding in check()] == []
    return channels


@pytest.mark.parametrize("block", TWILIO)
def test_twilio_of_the_page_sends(block: Block, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    channels = channels_of(block, monkeypatch)
    (alias,) = channels
    channels[alias]["OPTIONS"]["base_url"] = httpserver.url_for("")
    path = f"/2010-04-01/Accounts/{SOMETHING}/Messages.json"
    httpserver.expect_request(path).respond_with_json({"sid": "SM1", "error_code": None}, status=201)
    with override_settings(TWOFA_CHANNELS=channels):
        receipt = get_channel(alias).send(ChannelContract().make_message())

    assert receipt.provider_message_id == "SM1"
    assert httpserver.log[0][0].form.get("ContentSid", "")[-1:] == {"sms": "", "whatsapp": "1"}[alias]


def test_chain_of_the_page_sends(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    (block,) = CHAIN
    channels = channels_of(block, monkeypatch)
    providers = channels["sms"]["OPTIONS"]["providers"]
    providers["twilio"]["OPTIONS"]["base_url"] = httpserver.url_for("/down")
    providers["gateway"]["OPTIONS"]["url"] = httpserver.url_for("/up")
    httpserver.expect_request("/up").respond_with_json({})
    with override_settings(TWOFA_CHANNELS=channels):
        assert get_channel("sms").send(ChannelContract().make_message()).provider == "gateway"


class TestReportingPagerChannel(TestPagerChannel):  # type: ignore[valid-type, misc]
    def make_channel(self) -> Any:
        return _page["ReportingPagerChannel"](
            host=self.pager.host, port=self.pager.port, timeout=1.0, secret="the-pager"
        )

    def make_callback(self, *, status: str) -> Callback:
        body = json.dumps({"id": "1", "status": {"delivered": "read", "failed": "lost"}[status]}).encode()
        at = str(int(time.time()))
        digest = hmac.new(b"the-pager", at.encode() + b"." + body, sha256).hexdigest()
        return Callback(body=body, headers={"X-Pager-Time": at, "X-Pager-Signature": digest})


@pytest.mark.parametrize("block", GATEWAY)
def test_gateway_of_the_page_sends(block: Block, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    (templates,) = [block for block in GATEWAYS if block.kind == "templates"]
    shop_channels(monkeypatch, run(templates, {}))
    channels = channels_of(block, monkeypatch)
    (alias,) = channels
    httpserver.expect_request("/").respond_with_json({"messages": [{"id": "m-1"}], "sid": "m-1"})
    with override_settings(TWOFA_CHANNELS=channels):
        assert isinstance(get_channel(alias), HttpChannel)
    channels[alias]["OPTIONS"]["url"] = httpserver.url_for("/")
    with override_settings(TWOFA_CHANNELS=channels):
        message = ChannelContract().make_message(text="Redemption of 15,000\n\nToken 1: 7K2M9Q", locale="pt-br")
        receipt = get_channel(alias).send(message)

    sent = httpserver.log[0][0]
    assert receipt.provider_message_id == "m-1"
    assert "Authorization" in sent.headers
    if alias == "whatsapp":
        template = sent.get_json()["template"]
        assert template["language"] == {"code": "pt_BR"}
        assert template["components"][0]["parameters"][0]["text"] == "Redemption of 15,000 Token 1: 7K2M9Q"
