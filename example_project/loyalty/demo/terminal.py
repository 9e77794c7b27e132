"""What the demo prints: plain lines, with colours only where a person watches."""

from __future__ import annotations

import json
import logging
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TextIO

WIDTH = 88
_STYLES = {"bold": "1", "dim": "2", "good": "32", "refused": "33", "bad": "31", "accent": "36"}


class Terminal:
    """Writes the story. Colours are left out for pipes, for ``NO_COLOR`` and for terminals that have none."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.coloured = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"

    def paint(self, text: str, style: str) -> str:
        """Return the text in a style, where styles are shown."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.coloured else text

    def line(self, text: str = "") -> None:
        """Write one line, at once: a pipe would keep it back."""
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def story(self, name: str) -> None:
        """Begin a story."""
        self.line()
        self.line()
        self.line(self.paint(f"━━ {name}", "bold"))

    def chapter(self, number: int, title: str) -> None:
        """Begin a chapter."""
        self.line()
        self.line(self.paint(f"{number}. {title}", "bold"))

    def say(self, text: str) -> None:
        """Explain something."""
        self.line()
        for row in textwrap.wrap(text, WIDTH - 3):
            self.line(f"   {row}")

    def fact(self, label: str, value: object) -> None:
        """Show something that was looked up and found right."""
        self.line(f"   {self.paint('✓', 'good')} {label}: {value}")

    def request(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> None:
        """Show a request."""
        self.line()
        self.line(f"   {self.paint(method, 'accent')} {path}")
        for name, value in headers.items():
            self.line(self.paint(f"      {name}: {value}", "dim"))
        if body is not None:
            self._json(body)

    def answer(self, status: int, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> None:
        """Show an answer: its status, and those of its members that matter here."""
        style = "good" if status < 300 else "refused" if status < 500 else "bad"
        self.line(f"   {self.paint(f'{status} {HTTPStatus(status).phrase}', style)}")
        for name, value in headers.items():
            self.line(self.paint(f"      {name}: {value}", "dim"))
        if body:
            self._json(body)

    def bubble(self, label: str, rows: Iterable[str]) -> None:
        """Show a message as it lies on a phone."""
        text = [wrapped for row in rows for wrapped in (textwrap.wrap(row, WIDTH - 16) or [""])]
        inner = max(len(label) + 2, *(len(row) for row in text))
        self.line()
        self.line(f"      ╭─ {label} {'─' * (inner - len(label) - 1)}╮")
        for row in text:
            self.line(f"      │ {row.ljust(inner)} │")
        self.line(f"      ╰{'─' * (inner + 2)}╯")

    def _json(self, body: Mapping[str, Any]) -> None:
        short = json.dumps(body, ensure_ascii=False)
        text = short if len(short) <= WIDTH - 6 else json.dumps(body, ensure_ascii=False, indent=2)
        self.line(textwrap.indent(text, "      "))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep this process's log out of the story, which has the same terminal; errors are told."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def pick(body: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return only the members at ``paths`` (dotted), in their order."""
    picked: dict[str, Any] = {}
    for path in paths:
        *parents, last = path.split(".")
        source: Any = body
        target = picked
        for parent in parents:
            source = source[parent]
            target = target.setdefault(parent, {})
        target[last] = source[last]
    return picked
