"""The page on S3 and its blocks, and a server that speaks S3."""

from __future__ import annotations

from typing import Any

from tests.example.blocks import Block, blocks_of

PAGE = blocks_of("docs/howto/store-documents-on-s3.md")
BUCKET = "documents"
KEY = "n5Jv1kq0v0mY4o6l2w3xS9a7b8c0d1e2f3g4h5i6j7k="


def of_kind(kind: str) -> Block:
    (block,) = (block for block in PAGE if block.kind == kind)
    return block


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "page", "exec"), names)  # noqa: S102 - our own page
    return names


def start() -> Any:
    # Here and not above: it takes a second, which no other test should wait for.
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    return server
