"""A corpus of files that mean harm: each is refused by its code, or what is left is a picture and nothing else."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.pictures import corpus
from twofa import pictures

PEAK = 300_000_000
SECONDS = pictures.process.TIMEOUT + 2
_PLAIN = {0xD8, 0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}

REFUSED = {
    "empty": (lambda: b"", "empty_file"),
    "11 MB": (lambda: corpus.jpeg() + bytes(11 * 1024 * 1024), "file_too_large"),
    "PNG of 40,000 x 40,000": (lambda: corpus.png_of_claimed_size(40_000, 40_000), "too_many_pixels"),
    "PNG of 2^31 pixels a side": (lambda: corpus.png_of_claimed_size(2**31 - 1, 2**31 - 1), "too_many_pixels"),
    "PNG with less than it claims": (lambda: corpus.png_of_claimed_size(4000, 4000), "damaged_file"),
    "PNG cut off": (lambda: corpus.encoded(corpus.picture(), "PNG")[:-400], "damaged_file"),
    "JPEG cut off": (lambda: corpus.jpeg()[:-400], "damaged_file"),
    "JPEG cut off before its pixels": (lambda: corpus.jpeg()[:200], "damaged_file"),
    "JPEG without its end": (lambda: corpus.jpeg()[:-2], "damaged_file"),
    "WebP of 16,000 x 16,000": (lambda: corpus.webp_of_claimed_size(16_000), "too_many_pixels"),
    "WebP of 5,000 x 5,000": (lambda: corpus.webp_of_claimed_size(5_000), "too_many_pixels"),
    "WebP cut off": (lambda: corpus.encoded(corpus.picture(), "WEBP")[:-100], "damaged_file"),
    "JPEG of thousands of scans": (lambda: corpus.with_many_scans(5000), "file_took_too_long"),
    "JPEG of endless markers": (lambda: b"\xff\xd8" + b"\xff\x01" * 4_000_000, "damaged_file"),
    "picture of a few pixels": (lambda: corpus.encoded(corpus.picture(width=99), "PNG"), "picture_too_small"),
    "picture like a thread": (lambda: corpus.encoded(corpus.picture("L", 20_000, 200), "PNG"), "picture_too_small"),
    "PDF of 6 pages": (lambda: corpus.pages(6), "too_many_pages"),
    "PDF that claims a million pages": (
        lambda: corpus.pages(1).replace(b"/Count 1", b"/Count 1000000"),
        "too_many_pages",
    ),
    "PDF without pages": (lambda: corpus.pages(0), "damaged_file"),
    "PDF with a password": (corpus.pdf_with_password, "protected_pdf"),
    "PDF cut off": (lambda: corpus.one_page()[:60], "damaged_file"),
    "PDF in name only": (lambda: b"%PDF-1.7\n" + corpus.SCRIPT, "damaged_file"),
    "PDF that never ends": (corpus.pdf_that_never_ends, "file_took_too_long"),
    "PDF of forms in forms in forms": (corpus.pdf_of_forms_in_forms, "damaged_file"),
    "PDF that draws itself": (corpus.pdf_that_draws_itself, "damaged_file"),
    "PDF whose pages go round": (corpus.pdf_whose_pages_go_round, "damaged_file"),
    "PDF of a page like a thread": (lambda: corpus.one_page(box=b"0 0 14400 10"), "picture_too_small"),
} | {name: (build, "unsupported_file") for name, build in corpus.UNSUPPORTED.items()}

INERT = {
    "JPEG with HTML behind it": (lambda: corpus.jpeg() + corpus.SCRIPT, (320, 200)),
    "JPEG with a zip behind it": (lambda: corpus.jpeg() + corpus.archive(), (320, 200)),
    "JPEG with EXIF, GPS and a turn": (lambda: corpus.jpeg(exif=corpus.exif(orientation=6)), (200, 320)),
    "JPEG with comments of 64 kB": (
        lambda: corpus.with_segments(corpus.jpeg(), *[corpus.segment(0xFE, (corpus.CANARY * 6000)[:65_500])] * 20),
        (320, 200),
    ),
    "JPEG with XMP and a broken profile": (
        lambda: corpus.with_segments(
            corpus.jpeg(icc_profile=corpus.CANARY * 20),
            corpus.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + corpus.SCRIPT),
        ),
        (320, 200),
    ),
    "JPEG with broken EXIF": (
        lambda: corpus.with_segments(
            corpus.jpeg(), corpus.segment(0xE1, b"Exif\0\0MM\0\x2a\xff\xff\xff\xff" + corpus.CANARY)
        ),
        (320, 200),
    ),
    "JPEG with a second one behind it": (corpus.mpo, (320, 200)),
    "JPEG in CMYK": (lambda: corpus.encoded(corpus.picture("CMYK"), "JPEG"), (320, 200)),
    "JPEG in grey": (lambda: corpus.encoded(corpus.picture("L"), "JPEG"), (320, 200)),
    "JPEG, progressive": (lambda: corpus.jpeg(progressive=True), (320, 200)),
    "PNG with texts, EXIF and profile": (corpus.png_with_texts, (320, 200)),
    "PNG with compressed bombs": (corpus.png_with_bombs, (320, 200)),
    "PNG with a zip behind it": (lambda: corpus.encoded(corpus.picture(), "PNG") + corpus.archive(), (320, 200)),
    "PNG with a palette": (lambda: corpus.encoded(corpus.picture("P"), "PNG"), (320, 200)),
    "PNG in black and white": (lambda: corpus.encoded(corpus.picture("1"), "PNG"), (320, 200)),
    "PNG with transparency": (lambda: corpus.encoded(corpus.picture("RGBA"), "PNG"), (320, 200)),
    "PNG of 16 bits": (lambda: corpus.encoded(Image.new("I;16", (320, 200), 40_000), "PNG"), (320, 200)),
    "PNG, animated": (lambda: corpus.animated("PNG"), (320, 200)),
    "WebP with XMP": (
        lambda: corpus.encoded(corpus.picture(), "WEBP", xmp=corpus.SCRIPT, exif=corpus.exif(orientation=8)),
        (200, 320),
    ),
    "WebP, animated": (lambda: corpus.animated("WEBP"), (320, 200)),
    "PDF with scripts": (corpus.pdf_with_script, (1250, 1667)),
    "PDF behind a mark of byte order": (lambda: b"\xef\xbb\xbf\r\n" + corpus.one_page(), (1250, 1667)),
    "PDF with a huge page": (lambda: corpus.one_page(box=b"0 0 14400 14400"), (2400, 2400)),
    "PDF whose page has no size": (lambda: corpus.one_page(box=b"0 0 0 0"), (1855, 2400)),
    "PDF whose tables go round": (corpus.pdf_whose_tables_go_round, (1250, 1667)),
    "PDF whose length is itself": (corpus.pdf_whose_length_is_itself, (1250, 1667)),
    "PDF of a gigabyte in a kilobyte": (corpus.pdf_bomb, (1250, 1667)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_file_is_refused_by_its_code_within_bounds(sanitise, name):
    build, code = REFUSED[name]

    measured = sanitise(build())

    assert (measured.code, measured.pages) == (code, ())
    assert measured.peak < PEAK
    assert measured.seconds < SECONDS


@pytest.mark.parametrize("name", INERT)
def test_what_is_left_of_a_file_is_a_plain_jpeg_and_nothing_else(sanitise, name):
    build, size = INERT[name]

    measured = sanitise(build())

    assert measured.code is None
    (page,) = measured.pages
    assert (page.width, page.height) == size
    assert_plain(page)
    assert measured.peak < PEAK
    assert measured.seconds < SECONDS


def assert_plain(page: pictures.Page) -> None:
    """The markers of a JPEG and none for metadata, nothing behind its end, and the size that was told."""
    assert corpus.CANARY not in page.data
    assert b"<script" not in page.data
    assert set(markers_of(page.data)) == _PLAIN
    with Image.open(io.BytesIO(page.data)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (page.width, page.height))
        assert dict(image.getexif()) == {}
        assert {"icc_profile", "xmp", "comment", "photoshop"}.isdisjoint(image.info)


def markers_of(data: bytes) -> list[int]:
    """Each marker of a JPEG of one scan, the last being the last two bytes."""
    at, markers = 2, [data[1]]
    while markers[-1] != 0xDA:
        assert data[at] == 0xFF
        markers.append(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    scan = data[at:-2].replace(b"\xff\0", b"")
    assert b"\xff" not in scan
    return [*markers, data[-1]]
