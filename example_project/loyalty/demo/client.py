"""A storefront's backend in miniature: JSON over HTTP with a key, each exchange printed."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from urllib3 import encode_multipart_formdata

from example_project.loyalty.demo.failure import DemoFailed
from example_project.loyalty.demo.terminal import Terminal, pick

PREFIX = "/api/v1"
_TIMEOUT = 20.0
_SHOWN_HEADERS = ("Retry-After", "Idempotency-Replayed", "X-Two-Factor")


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` is empty where there was none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


class Client:
    """Calls the API at ``port`` of this machine, on behalf of the storefront that ``key`` belongs to."""

    def __init__(self, port: int, key: str, terminal: Terminal) -> None:
        self.port = port
        self._key = key
        self._terminal = terminal
        self.answers: list[str] = []

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        expect: int,
        code: str | None = None,
        show: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call and print it. Raises: DemoFailed where status or ``code`` are not what the story says."""
        given = dict(headers or {})
        self._terminal.request(method, PREFIX + path, body, given)
        answer = self.exchange(method, PREFIX + path, body, given)
        return self._judge(f"{method} {path}", answer, expect, code, show)

    def send_file(
        self, path: str, members: Mapping[str, str], file: bytes, *, expect: int, show: Sequence[str] = ()
    ) -> Answer:
        """Post a form with a file and print it, but for the file. Raises: DemoFailed where the status is another."""
        shown = {**members, "file": f"({len(file) // 1000} kB)"}
        self._terminal.request("POST", PREFIX + path, shown, {"Content-Type": "multipart/form-data"})
        body, kind = encode_multipart_formdata({**members, "file": ("file", file, "application/octet-stream")})
        answer = self._exchange("POST", PREFIX + path, body, {"Content-Type": kind})
        return self._judge(f"POST {path}", answer, expect, None, show)

    def _judge(self, call: str, answer: Answer, expect: int, code: str | None, show: Sequence[str]) -> Answer:
        shown = pick(answer.body, show) if answer.status == expect else answer.body
        echoed = {name: answer.headers[name] for name in _SHOWN_HEADERS if name in answer.headers}
        self._terminal.answer(answer.status, shown, echoed)
        if answer.status != expect or (code is not None and answer.body.get("code") != code):
            raise DemoFailed(f"{call}: expected {expect} {code or ''}, got {answer.status}: {answer.body}")
        return answer

    def exchange(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Answer:
        """Make one call, and print nothing."""
        if body is None:
            return self._exchange(method, path, None, headers)
        return self._exchange(method, path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT)
        sent = {"Authorization": f"Bearer {self._key}", "Accept-Language": "en", **headers}
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
        except OSError as error:
            raise DemoFailed(f"{method} {path}: no answer ({error}).") from error
        finally:
            connection.close()
        self.answers.append(text)
        kind = response.headers.get_content_type()
        parsed = json.loads(text) if text and kind.endswith("json") else {}
        return Answer(response.status, dict(response.headers.items()), parsed)
