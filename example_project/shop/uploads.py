"""A picture on its way through the shop: kept in memory, at most 10 MiB of it, and never on this machine's disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers, StopUpload
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_variables

MAX_BYTES = 10 * 1024 * 1024
_OVERHEAD = 64 * 1024
"""Bytes of the form beside its file."""
_DRAINED = 64 * 1024 * 1024
"""Of what is too large so much is read and thrown away: a browser that still sends would not hear the answer."""
_CHUNK = 64 * 1024
_TOO_LARGE = "shop_upload_too_large"

View = Callable[..., HttpResponse]


def takes_file(view: View, *, refuse: View) -> View:
    """Make a view of a form with one picture; ``refuse`` is the view of one that is too large to be read at all.

    The middleware that looks for the form's CSRF token reads all of the body for it, and Django's own handlers write a
    larger file, in clear, to a folder that others can read. So the handler is chosen first, and the token is looked for
    afterwards, here. What says of itself that it is too large is not read as a form: ``refuse`` does nothing but tell.
    """
    guarded = csrf_protect(view)

    @csrf_exempt
    @wraps(view)
    def receive(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            length = _declared_length(request)
            if length > MAX_BYTES + _OVERHEAD:
                _drain(request, length)
                return refuse(request, *args, **kwargs)
            request.upload_handlers = [_InMemory(request)]
        return guarded(request, *args, **kwargs)

    return receive


def is_too_large(request: HttpRequest) -> bool:
    """Tell whether the file was longer than the programme takes: then nothing of it was kept."""
    return bool(getattr(request, _TOO_LARGE, False))


@sensitive_variables()
def file_of(request: HttpRequest) -> bytes:
    """Return what was chosen, or nothing: of two fields (camera, folder) one is left empty."""
    files = request.FILES.getlist("file")
    content: bytes = files[-1].read() if files else b""
    return content


def _declared_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _drain(request: HttpRequest, length: int) -> None:
    left = min(length, _DRAINED)
    while left > 0:
        chunk = request.read(min(left, _CHUNK))
        if not chunk:
            return
        left -= len(chunk)


class _InMemory(FileUploadHandler):
    """Keeps what was chosen; of a file that is longer than it may be, nothing."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._content = BytesIO()
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) > MAX_BYTES:
            setattr(self.request, _TOO_LARGE, True)
            raise StopUpload(connection_reset=False)
        self._content.write(raw_data)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self._content.seek(0)
        return InMemoryUploadedFile(self._content, self.field_name, "file", "application/octet-stream", file_size, None)
