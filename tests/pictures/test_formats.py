from __future__ import annotations

import pytest

from tests.pictures import corpus
from twofa.pictures import formats


@pytest.mark.parametrize("name", corpus.UNSUPPORTED)
def test_other_files_have_no_kind(name):
    assert formats.kind_of(corpus.UNSUPPORTED[name]()) is None


@pytest.mark.parametrize(("kind", "expected"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("PDF", "pdf")])
def test_kind_is_told_by_the_first_bytes(kind, expected):
    assert formats.kind_of(corpus.encoded(corpus.picture(), kind)) == expected


def test_pdf_that_begins_late_is_none():
    assert formats.kind_of(b"<html>%PDF-1.7") is None
    assert formats.kind_of(b" " * 1024 + b"%PDF-1.7") is None
