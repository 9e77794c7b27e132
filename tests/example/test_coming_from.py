"""The pages for those who come from another system: each block typed into a shell against `make serve`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from example_project.phone import read_messages
from tests.example.blocks import ROOT, Block, blocks_of
from tests.example.serving import Served, serve
from tests.example.test_walkthroughs import Shell
from tests.forms import picture

PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/howto").glob("coming-from-*.md"))


class Newcomer(Shell):
    """The same person, who also keeps other ids, an access token, a picture, and a day of their own."""

    def __init__(self, served: Served, picture: Path) -> None:
        super().__init__(served)
        self.picture = picture

    def values(self) -> dict[str, Callable[[], str]]:
        ids = dict.fromkeys(("CHALLENGE", "BATCH"), lambda: str(self.answer["id"]))
        return {
            **super().values(),
            **ids,
            "TOKEN": self.token,
            "ACCESS": self.access_token,
            "PICTURE": lambda: str(self.picture),
            "WHEN": lambda: (datetime.now(UTC) + timedelta(days=9)).isoformat(timespec="seconds"),
        }

    def token(self) -> str:
        """That of the newest message which has one: notices may have come since."""
        return next(message.token for message in read_messages(self.served.var / "messages") if message.token)

    def access_token(self) -> str:
        return re.findall(r'"access_token": ?"([^"]+)"', "\n".join(self.transcript))[-1]

    def type(self, block: Block) -> str:
        before = self.answer
        printed = super().type(block)
        if self.answer.get("code") == "resend_cooldown":
            time.sleep(self.answer["retry_after"])
            self.answer = before
            printed = super().type(block)
        return printed


def is_met(word: str, answer: Any, printed: str) -> bool:
    """Whether the answer has what the mark of a block promises: `expect=member:value`, or `header=name:value`."""
    kind, _equals, promise = word.partition("=")
    name, _colon, value = promise.partition(":")
    if kind == "header":
        return f"\n{name}: {value}".lower() in printed.lower()
    return value in {str(found) for found in values_of(answer, name)}


def values_of(answer: Any, name: str) -> Iterator[Any]:
    """The member called ``name``, or where there is none all that lie deeper."""
    if isinstance(answer, dict) and name in answer:
        yield answer[name]
    elif isinstance(answer, dict | list):
        for value in answer.values() if isinstance(answer, dict) else answer:
            yield from values_of(value, name)


@pytest.mark.parametrize("page", PAGES)
def test_calls_of_the_page_do_what_it_says(tmp_path: Path, page: str):
    file = tmp_path / "licence.png"
    file.write_bytes(picture(size=(800, 600)))
    served = serve(tmp_path / "var")
    reader = Newcomer(served, file)
    try:
        for block in blocks_of(page):
            printed = reader.type(block)
            for word in block.words[1:]:
                assert is_met(word, reader.answer, printed), f"{word}\n{block.code}\n{printed}"
    finally:
        assert served.stop() == 0, served.output
    assert len(reader.transcript) >= 9


def test_there_is_a_page_for_each_of_the_four_systems():
    assert [Path(page).stem.removeprefix("coming-from-") for page in PAGES] == [
        "cerberus",
        "cloudloyalty",
        "freshcom",
        "qi-tech",
    ]
