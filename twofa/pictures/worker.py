"""The program that decodes what a stranger sent: run by path in a process of its own, and never imported by the app.

It imports the standard library, Pillow and pypdfium2, and nothing of this package: whoever takes over a parser here
finds no settings, no keys and no connection (`docs/adr/0015`). Arguments: what the file is ("jpeg", "png", "webp" or
"pdf"), the most pages, the longest side in pixels, then the folders to import from. The file comes by stdin. The answer
goes to stdout:

- ``K``, the digest (32 bytes), then each page: width, height (2 bytes each), length (4 bytes), the JPEG; or
- ``R`` and the code of the refusal.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import math
import os
import re
import struct
import sys
import warnings
from collections.abc import Iterator
from typing import Any

if sys.platform != "win32":
    import resource

# The folders of the two libraries come last, so that a file in them cannot stand for a module of the standard library.
sys.path += sys.argv[4:] if __name__ == "__main__" else []

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

MIB = 1024 * 1024
MEMORY = 260 * MIB
"""Bytes of writable memory. With the code of the libraries, about 20 MiB, the process stays below 300 MB."""
ADDRESSES = 512 * MIB
CPU_SECONDS = 8
SMALLEST_SIDE = 100
PIXELS = {"jpeg": 52_000_000, "png": 25_000_000, "webp": 12_600_000}
"""The most pixels by format: phones take up to 50 megapixels as JPEG, which libjpeg decodes at half of the size."""
JPEG_BUDGET = 160 * MIB
"""Bytes for a JPEG's pixels and, where it has several scans, the coefficients that libjpeg keeps of all of them."""
JPEG_FULL = 25_000_000
"""The most pixels that are decoded without halving."""
JPEG_SCANS = 100
"""No encoder writes more than about twenty; each costs a pass over all pixels and may be twelve bytes long."""
JPEG_MARKERS = 20_000
QUALITY = 88
PDF_SIDE = 2400
PDF_SCALE = 300 / 72
"""At most 300 dots per inch: a page as small as a card is not blown up to the size of a sheet."""
PDF_FAR_SIDE = 20_000.0
"""Points. The format ends at 14,400 (200 inches); beyond this a page is not a page."""

_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
# In what a scan encodes, FF is followed by 00 or by the number of a restart: anything else is the next marker.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_WITHOUT_LENGTH = {0x01, 0xD8, *range(0xD0, 0xD8)}
_PDF_PASSWORD = {4, 5}  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY


class RefusedFile(Exception):
    """The file is refused; ``code`` tells why."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def confine() -> None:
    """Give up, for good, what a decoder does not need. The libraries are loaded by now."""
    if sys.platform == "win32":
        return
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    # Nothing can be opened any more, neither file nor socket: what was read here cannot be taken elsewhere.
    _limit(resource.RLIMIT_NOFILE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_DATA, MEMORY)
    _limit(resource.RLIMIT_AS, ADDRESSES)
    # The soft limit kills by a signal of its own, which tells a slow file from a machine that ran out of memory.
    _limit(resource.RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    ceiling = resource.getrlimit(which)[1]
    wanted = (soft, soft if hard is None else hard)
    if ceiling != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], ceiling), min(wanted[1], ceiling))
    try:
        resource.setrlimit(which, wanted)
    except (OSError, ValueError):
        # Other systems lack some of them (macOS has no limit of addresses). On Linux none may be missing.
        if sys.platform == "linux":
            raise


def answer(kind: str, data: bytes, *, max_pages: int, max_side: int) -> bytes:
    """Return the framed answer for a file."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of broken metadata, which nobody will see.
            warnings.simplefilter("ignore")
            return _accepted(_pages(kind, data, max_pages, max_side))
    except RefusedFile as refusal:
        return b"R" + refusal.code.encode()
    except (MemoryError, Image.DecompressionBombError):
        return b"Rtoo_many_pixels"
    except Exception:  # noqa: BLE001 - parsers raise anything on hostile bytes, and each of it means the same
        return b"Rdamaged_file"


def _accepted(pages: Iterator[Image.Image]) -> bytes:
    digest = hashlib.sha256()
    framed = []
    for page in pages:
        digest.update(struct.pack("!HH", *page.size))
        digest.update(page.tobytes())
        jpeg = io.BytesIO()
        page.save(jpeg, "JPEG", quality=QUALITY)
        framed.append(struct.pack("!HHI", *page.size, jpeg.tell()) + jpeg.getvalue())
    return b"K" + digest.digest() + b"".join(framed)


def _pages(kind: str, data: bytes, max_pages: int, max_side: int) -> Iterator[Image.Image]:
    if kind == "pdf":
        yield from _pages_of_pdf(data, max_pages)
    else:
        yield _picture(kind, data, max_side)


def _picture(kind: str, data: bytes, max_side: int) -> Image.Image:
    """Return the upright picture as fresh RGB pixels: a new image has no metadata to be written out.

    The class of the format is called, not ``Image.open``: no other parser is ever asked whether it knows the file.
    """
    image = _opened(kind, data)
    if image.width * image.height > PIXELS[kind]:
        raise RefusedFile("too_many_pixels")
    size = _fitted(image.size, max_side)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _decode_smaller(image, _scans(data))
    image.load()
    turn = _turn(image)
    _let_go(image)
    # Each step replaces the image before it: two of the largest fit into the memory, three do not.
    present: Image.Image = image
    del image
    if present.mode not in {"RGB", "L", "CMYK"} or present.has_transparency_data:
        present = _coloured(present)
        present = _on_white(present)
    if present.size != size:
        present = present.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if turn is not None:
        present = present.transpose(turn)
    if present.mode != "RGB":
        present = present.convert("RGB")
    fresh = Image.new("RGB", present.size)
    fresh.paste(present)
    return fresh


def _opened(kind: str, data: bytes) -> ImageFile.ImageFile:
    if kind == "jpeg":
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if kind == "png":
        return PngImagePlugin.PngImageFile(io.BytesIO(_needed_chunks(data)))
    return WebPImagePlugin.WebPImageFile(io.BytesIO(data))


def _fitted(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(size))
    width, height = (round(side * scale) for side in size)
    if min(width, height) < SMALLEST_SIDE:
        raise RefusedFile("picture_too_small")
    return width, height


def _needed_chunks(data: bytes) -> bytes:
    """Return a PNG with what its pixels need and no more.

    Compressed texts and profiles (bombs, each of them), frames of animations and what follows the end are never parsed.
    """
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from("!I4s", data, at)
        if name in _CHUNKS:
            kept.append(data[at : at + 12 + length])
        if name == b"IEND":
            return b"".join(kept)
        at += 12 + length
    raise RefusedFile("damaged_file")


def _scans(data: bytes) -> int:
    """Return how many scans a JPEG has, up to its end; what follows (other pictures, a film, an archive) is ignored.

    A progressive JPEG is as slow as its scans are many, and thousands fit into a small file.
    """
    scans, at = 0, 0
    for _ in range(JPEG_MARKERS):
        found = _MARKER.search(data, at)
        if found is None:
            break
        at, marker = found.end(), data[found.end() - 1]
        if marker == 0xD9:
            return scans
        scans += marker == 0xDA
        if scans > JPEG_SCANS:
            raise RefusedFile("file_took_too_long")
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    raise RefusedFile("damaged_file")


def _decode_smaller(image: JpegImagePlugin.JpegImageFile, scans: int) -> None:
    """Let libjpeg decode at 1/2, 1/4 or 1/8 where the whole would not fit into the memory."""
    width, height = image.size
    pixels = width * height
    coefficients = 0
    if scans > 1 or image.info.get("progressive"):
        densest = max(across * down for _, down, across, _ in image.layer)
        coefficients = sum(2 * pixels * across * down // densest for _, down, across, _ in image.layer)
    for divisor in (1, 2, 4, 8):
        decoded = pixels // divisor**2
        if decoded <= JPEG_FULL and coefficients + 4 * decoded <= JPEG_BUDGET:
            image.draft(None, (math.ceil(width / divisor), math.ceil(height / divisor)))
            return
    raise RefusedFile("too_many_pixels")


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken EXIF hurts nobody: the picture is taken as it lies
        return None


def _let_go(image: ImageFile.ImageFile) -> None:
    """Free what the file was decoded from; Pillow keeps three more copies of a WebP's pixels, for its next frame."""
    image.fp = None
    if isinstance(image, WebPImagePlugin.WebPImageFile):
        image._decoder = None


def _coloured(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey: the upper eight are the picture, where a plain conversion would clip to white.
        return image.point(lambda value: value / 256).convert("RGB")
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _pages_of_pdf(data: bytes, max_pages: int) -> Iterator[Image.Image]:
    """Yield each page as pixels. Forms are not initialised, and this build of PDFium has no engine for scripts."""
    pdfium: Any = importlib.import_module("pypdfium2")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise RefusedFile("protected_pdf" if error.err_code in _PDF_PASSWORD else "damaged_file") from None
    count = len(document)
    if count < 1:
        raise RefusedFile("damaged_file")
    if count > max_pages:
        raise RefusedFile("too_many_pages")
    for number in range(count):
        page = document[number]
        bitmap = page.render(scale=_scale(*page.get_size()), rev_byteorder=True, limit_image_cache=True)
        fresh = Image.new("RGB", (bitmap.width, bitmap.height))
        fresh.paste(bitmap.to_pil())
        bitmap.close()
        page.close()
        yield fresh


def _scale(width: float, height: float) -> float:
    # Written so that a NaN, which compares as false, is refused.
    if not (0 < width <= PDF_FAR_SIDE and 0 < height <= PDF_FAR_SIDE):
        raise RefusedFile("damaged_file")
    scale = min(PDF_SCALE, PDF_SIDE / max(width, height))
    if min(width, height) * scale < SMALLEST_SIDE:
        raise RefusedFile("picture_too_small")
    return scale


def main() -> None:
    kind, max_pages, max_side = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if kind == "pdf":
        importlib.import_module("pypdfium2")
    else:
        # Asked by Pillow itself where it reserves memory for a picture before we have seen its size: for a WebP.
        Image.MAX_IMAGE_PIXELS = PIXELS[kind] // 2
    # Loaded now, since nothing can be opened later: the plugins that saving asks for, and the parser of EXIF.
    Image.preinit()
    importlib.import_module(TiffImagePlugin.__name__)
    confine()
    data = sys.stdin.buffer.read()
    sys.stdout.buffer.write(answer(kind, data, max_pages=max_pages, max_side=max_side))
    sys.stdout.buffer.flush()
    # No destructors: a library that trips over what the file left behind has nothing to say any more.
    os._exit(0)


if __name__ == "__main__":
    main()
