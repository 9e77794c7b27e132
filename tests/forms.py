"""Multipart bodies and the pictures in them, built by hand: a client library would refuse to send what is hostile."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

BOUNDARY = "a-boundary-of-the-tests"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
SIZE = (320, 200)


def picture(colour: str = "red", format: str = "PNG", size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, format, **options)
    return out.getvalue()


def form(*pairs: tuple[str, Any], filename: str = "document.png", **members: Any) -> bytes:
    """A form; what is bytes is a file, what is text a member. ``pairs`` may name a member twice."""
    body = b""
    for name, value in [*pairs, *members.items()]:
        if isinstance(value, bytes):
            head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            head += "Content-Type: text/html\r\n"
        else:
            head = f'Content-Disposition: form-data; name="{name}"\r\n'
            value = str(value).encode()
        body += f"--{BOUNDARY}\r\n{head}\r\n".encode() + value + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def submit(api: Any, path: str, *pairs: tuple[str, Any], filename: str = "document.png", **given: Any) -> Any:
    """Send a form to a participant's documents; names with a capital letter are headers."""
    headers = {name: value for name, value in given.items() if name[0].isupper()}
    members = {name: value for name, value in given.items() if not name[0].isupper()}
    body = form(*pairs, filename=filename, **members)
    return api.send("POST", f"{path}documents/", body, content_type=CONTENT_TYPE, **headers)
