"""The pages on channels, run."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from pytest_httpserver import HTTPServer

from tests.example.blocks import Block, blocks_of
from twofa.channels import get_channel
from twofa.channels.http import HttpChannel
from twofa.channels.memory import MemoryChannel
from twofa.testing import ChannelContract, outbox

ADD = blocks_of("docs/howto/add-a-channel.md")
GATEWAY = blocks_of("docs/howto/connect-a-gateway.md")


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
    if _block.kind in ("channel", "contract"):
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


@pytest.mark.parametrize("block", GATEWAY)
def test_gateway_of_the_page_sends(block: Block, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    for name in ("SMS_KEY", "SMS_ACCOUNT", "WHATSAPP_KEY"):
        monkeypatch.setenv(name, "something")
    channels = run(block, {})["TWOFA_CHANNELS"]
    (alias,) = channels
    httpserver.expect_request("/").respond_with_json({"messages": [{"id": "m-1"}], "sid": "m-1"})
    with override_settings(TWOFA_CHANNELS=channels):
        assert isinstance(get_channel(alias), HttpChannel)
    channels[alias]["OPTIONS"]["url"] = httpserver.url_for("/")
    with override_settings(TWOFA_CHANNELS=channels):
        receipt = get_channel(alias).send(ChannelContract().make_message())

    assert receipt.provider_message_id == "m-1"
    assert "Authorization" in httpserver.log[0][0].headers
