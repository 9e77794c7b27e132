from __future__ import annotations

import importlib.util
import io
import logging

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import corpus
from twofa import pictures
from twofa.exceptions import Invalid, Unavailable
from twofa.pictures import answers, process

SOURCES = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp", "PDF": "pdf"}
MEGAPIXELS_25 = (5770, 4330)
MEGAPIXELS_50 = (8160, 6120)


def decoded(page: pictures.Page) -> Image.Image:
    with Image.open(io.BytesIO(page.data)) as image:
        image.load()
        return image.copy()


def is_near(colour: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(one - other) < 24 for one, other in zip(colour, wanted, strict=True))


@pytest.mark.parametrize(
    ("kind", "source"), [("JPEG", "jpeg"), ("MPO", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("PDF", "pdf")]
)
def test_honest_file_becomes_a_page_and_tells_what_it_was(kind, source):
    made = pictures.sanitise(corpus.encoded(corpus.picture(), kind))

    assert made.source == source
    assert len(made.pages) == 1
    image = decoded(made.pages[0])
    assert is_near(image.getpixel((10, 10)), (255, 0, 0))
    assert is_near(image.getpixel((image.width - 10, image.height - 10)), (0, 0, 255))


def test_pdf_of_5_pages_becomes_5_pages_in_their_order():
    sheets = [corpus.picture(width=300 + 100 * number) for number in range(5)]

    made = pictures.sanitise(corpus.encoded(sheets[0], "PDF", save_all=True, append_images=sheets[1:]))

    shapes = [page.width / page.height for page in made.pages]
    assert shapes == pytest.approx([sheet.width / sheet.height for sheet in sheets], rel=0.01)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_comes_out_upright(kind, orientation):
    """The file holds the picture turned as a telephone was held, and EXIF says how."""
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = corpus.picture()
    held = upright.transpose(back[orientation]) if orientation in back else upright

    made = pictures.sanitise(corpus.encoded(held, kind, exif=corpus.exif(orientation=orientation)))

    image = decoded(made.pages[0])
    assert image.size == upright.size
    assert is_near(image.getpixel((20, 20)), (255, 0, 0))
    assert is_near(image.getpixel((300, 180)), (0, 0, 255))


def test_cmyk_keeps_its_colours():
    made = pictures.sanitise(corpus.encoded(corpus.picture("CMYK"), "JPEG"))

    assert is_near(decoded(made.pages[0]).getpixel((20, 20)), (255, 0, 0))


def test_transparent_pixels_become_white():
    image = corpus.picture("RGBA")
    image.paste((0, 0, 0, 0), (100, 60, 220, 140))

    made = pictures.sanitise(corpus.encoded(image, "PNG"))

    assert is_near(decoded(made.pages[0]).getpixel((160, 100)), (255, 255, 255))


def test_16_bits_of_grey_are_not_clipped():
    made = pictures.sanitise(corpus.encoded(Image.new("I;16", (200, 200), 100 * 256), "PNG"))

    assert is_near(decoded(made.pages[0]).getpixel((100, 100)), (100, 100, 100))


def test_digest_is_that_of_the_pixels_and_of_nothing_else():
    one = pictures.sanitise(corpus.encoded(corpus.picture(), "PNG"))
    others = [
        corpus.png_with_texts(),
        corpus.encoded(corpus.picture(), "PNG", compress_level=1) + b"behind",
        corpus.encoded(corpus.picture(), "WEBP", lossless=True),
        corpus.encoded(corpus.picture("RGBA"), "PNG"),
    ]

    assert {pictures.sanitise(data).content_digest for data in others} == {one.content_digest}


def test_jpeg_with_other_metadata_has_the_same_digest():
    plain = pictures.sanitise(corpus.jpeg())
    tagged = pictures.sanitise(corpus.jpeg(exif=corpus.exif(), comment=corpus.CANARY))

    assert tagged.content_digest == plain.content_digest


def test_another_picture_has_another_digest():
    changed = corpus.picture()
    changed.putpixel((160, 100), (1, 2, 3))
    digests = {
        pictures.sanitise(corpus.encoded(image, "PNG")).content_digest
        for image in (corpus.picture(), changed, corpus.picture().transpose(Image.Transpose.ROTATE_90))
    }

    assert len(digests) == 3


def largest(mode: str, size: tuple[int, int], kind: str, **options: object) -> bytes:
    return corpus.encoded(corpus.picture(mode).resize(size, Image.Resampling.NEAREST), kind, **options)


@pytest.mark.parametrize(
    ("mode", "size", "kind", "options"),
    [
        ("RGB", MEGAPIXELS_50, "JPEG", {}),
        ("RGB", MEGAPIXELS_50, "JPEG", {"progressive": True}),
        ("RGB", MEGAPIXELS_25, "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", MEGAPIXELS_25, "JPEG", {"exif": corpus.exif(orientation=6)}),
        ("RGBA", MEGAPIXELS_25, "PNG", {"compress_level": 1, "exif": corpus.exif(orientation=6)}),
        ("RGB", MEGAPIXELS_25, "PNG", {"compress_level": 1, "transparency": (1, 2, 3)}),
        (
            "RGBA",
            (4080, 3060),
            "WEBP",
            {"lossless": True, "quality": 0, "method": 0, "exif": corpus.exif(orientation=6)},
        ),
    ],
)
def test_largest_pictures_are_accepted_below_300_mb(sanitise, mode, size, kind, options):
    measured = sanitise(largest(mode, size, kind, **options))

    assert measured.code is None
    assert max(measured.pages[0].width, measured.pages[0].height) == pictures.MAX_SIDE
    assert 50_000_000 < measured.peak < 300_000_000
    assert measured.processor < 8


def test_jpeg_whose_coefficients_do_not_fit_is_refused_before_it_is_decoded(sanitise):
    measured = sanitise(largest("RGB", MEGAPIXELS_50, "JPEG", progressive=True, subsampling=0))

    assert measured.code == "too_many_pixels"
    assert measured.peak < 100_000_000


def test_repr_shows_no_bytes_of_the_picture():
    made = pictures.sanitise(corpus.jpeg())

    assert repr(made) == "Sanitised(pages=(Page(width=320, height=200),), source='jpeg')"


@pytest.mark.parametrize(
    "data", [b"", corpus.SCRIPT, bytes(pictures.MAX_BYTES + 1)], ids=["empty", "html", "too large"]
)
def test_what_is_refused_by_its_first_bytes_starts_no_process(monkeypatch, data):
    monkeypatch.setattr(process, "decode", lambda *args, **options: pytest.fail("a process was started"))

    with pytest.raises(Invalid):
        pictures.sanitise(data)


def test_missing_library_is_named_in_the_log_and_answered_as_unavailable(monkeypatch, caplog):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pypdfium2" else found(name))

    with caplog.at_level(logging.ERROR), pytest.raises(Unavailable) as refusal:
        pictures.sanitise(corpus.jpeg())

    assert pictures.missing_libraries() == ("pypdfium2",)
    assert refusal.value.retry_after == pictures.RETRY_AFTER
    assert "pypdfium2 missing. Install django-twofa[documents]." in caplog.text


@pytest.mark.parametrize("answer", [b"", b"K", b"Rcode_of_its_own", b"anything"])
def test_answer_that_is_none_refuses_the_file_and_is_logged_without_it(monkeypatch, caplog, answer):
    monkeypatch.setattr(process, "decode", lambda *args, **options: process.Ended(answer, -11, too_late=False))

    with pytest.raises(Invalid) as refusal:
        pictures.sanitise(corpus.jpeg())

    assert refusal.value.params["errors"][0]["code"] == "damaged_file"
    assert "anything" not in caplog.text


def test_every_refusal_tells_what_to_do():
    for code, text in pictures.REFUSALS.items():
        assert len(code) < answers._LONGEST_CODE
        assert any(verb in str(text) for verb in ("Choose", "Send", "Take", "take")), code


SEEDS = [
    corpus.encoded(corpus.picture(), "PNG"),
    corpus.jpeg(exif=corpus.exif()),
    corpus.encoded(corpus.picture(), "WEBP", exif=corpus.exif()),
    corpus.pdf_with_script(),
]


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A file of ours, with some bytes changed, some left out and some put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(4, len(data) - 1))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


@given(data=broken_files() | st.binary(max_size=200))
@example(data=b"\xff\xd8\xff")
@example(data=b"\x89PNG\r\n\x1a\n")
@example(data=b"RIFF\0\0\0\0WEBP")
@example(data=b"%PDF-")
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_is_sent_is_refused_or_a_picture(data):
    made = outcome(data)

    assert made in pictures.REFUSALS or 1 <= len(made.pages) <= pictures.MAX_PAGES


def outcome(data):
    try:
        return pictures.sanitise(data)
    except Invalid as refusal:
        return refusal.params["errors"][0]["code"]
