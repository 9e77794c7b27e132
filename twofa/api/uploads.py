"""Multipart bodies: a few short members and one file, kept in memory, under a cap, by nobody's settings but ours."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _
from rest_framework.parsers import BaseParser

from twofa.api.errors import Malformed, PayloadTooLarge
from twofa.api.parsing import declared_length
from twofa.pictures import MAX_BYTES

OVERHEAD = 64 * 1024
"""Bytes that the members beside the file, and the boundaries between them, may take."""
DRAINED = 64 * 1024 * 1024
"""Of a body that is too large so much is read and thrown away: a caller still sending would not hear the answer."""
_CHUNK = 64 * 1024
_SMALL = _("The file is larger than 10 MiB. Send a smaller picture.")


class UploadParser(BaseParser):
    """A form with one file. Its name and its declared type are what the sender likes to say, and are not kept."""

    media_type = "multipart/form-data"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the members of the form, the file as bytes. Raises: PayloadTooLarge, Malformed."""
        meta = {} if parser_context is None else parser_context["request"].META
        length = declared_length(meta)
        if length > MAX_BYTES + OVERHEAD:
            _drain(stream, length)
            raise PayloadTooLarge(_SMALL)
        handler = _MemoryHandler()
        try:
            fields, files = MultiPartParser({**meta, "CONTENT_TYPE": media_type}, stream, [handler], "utf-8").parse()
        except MultiPartParserError:
            raise Malformed("not_multipart", _("The body is not a multipart form.")) from None
        return members(fields, files)


def members(fields: MultiValueDict[str, Any], files: MultiValueDict[str, Any]) -> dict[str, Any]:
    """Return what a form holds, by name. Raises: PayloadTooLarge, Malformed where a name is there twice."""
    pairs = [(name, value) for name, values in fields.lists() for value in values]
    pairs += [(name, _content(value)) for name, values in files.lists() for value in values]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("duplicate_member", _("A member of the body is there twice."))
    return found


def _content(value: IO[bytes]) -> bytes:
    # Of a form that a host's middleware had read before us it may be longer.
    content: bytes = value.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PayloadTooLarge(_SMALL)
    return content


def _drain(stream: IO[Any], length: int) -> None:
    left = min(length, DRAINED)
    while left > 0:
        chunk = stream.read(min(left, _CHUNK))
        if not chunk:
            return
        left -= len(chunk)


class _MemoryHandler(FileUploadHandler):
    """Keeps a file in memory. Django's own would write a larger one, in clear, to a shared folder for what is passing.

    A new parser asks for one of these, so that no handler of the host's sees a document either.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._content = BytesIO()
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) > MAX_BYTES:
            raise PayloadTooLarge(_SMALL)
        self._content.write(raw_data)

    def file_complete(self, file_size: int) -> Any:
        self._content.seek(0)
        return self._content
