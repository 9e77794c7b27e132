"""Files, honest and hostile, built in code."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image, PngImagePlugin

CANARY = b"CANARY-7f3a91"
SCRIPT = b"<html><script>alert('" + CANARY + b"')</script></html>"
ORIENTATION, GPS, ARTIST = 0x0112, 0x8825, 0x013B


def picture(mode: str = "RGB", width: int = 320, height: int = 200, *, shade: int = 0) -> Image.Image:
    """A picture with something in each corner, so that a turn or another colour shows."""
    image = Image.linear_gradient("L").resize((width, height)).point(lambda value: (value + shade) % 256)
    image = Image.merge("RGB", [image, image.transpose(Image.Transpose.ROTATE_180), image])
    image.paste((255, 0, 0), (0, 0, width // 4, height // 4))
    image.paste((0, 0, 255), (width * 3 // 4, height * 3 // 4, width, height))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(**options: Any) -> bytes:
    return encoded(picture(), "JPEG", **options)


def exif(*, orientation: int = 1, artist: str = CANARY.decode()) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[ARTIST] = artist
    tags.get_ifd(GPS).update({1: "S", 2: (23.0, 33.0, 1.0), 3: "W", 4: (46.0, 38.0, 2.0), 29: CANARY.decode()})
    return tags.tobytes()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("META-INF/MANIFEST.MF", CANARY)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack("!BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(file: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments behind its first marker."""
    return file[:2] + b"".join(segments) + file[2:]


def with_many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    file = jpeg(progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:last] + file[last:-2] * scans + b"\xff\xd9"


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("!I", len(content)) + name + content + struct.pack("!I", zlib.crc32(name + content))


def with_chunks(file: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks between its header and its pixels."""
    return file[:33] + b"".join(chunks) + file[33:]


def png_of_claimed_size(width: int, height: int) -> bytes:
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb(megabytes: int = 200) -> bytes:
    """Zeros, compressed to a thousandth: one block, repeated, and the checksum that zeros have."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = ((megabytes << 20) % 65521) << 16 | 1
    return b"\x78\xda" + block * megabytes + zlib.compressobj(wbits=-15).flush() + struct.pack("!I", checksum)


def png_with_bombs() -> bytes:
    packed = bomb()
    return with_chunks(
        encoded(picture(), "PNG"),
        chunk(b"iCCP", b"profile\0\0" + packed),
        chunk(b"zTXt", b"Comment\0\0" + packed),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed),
    )


def png_with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", CANARY.decode())
    texts.add_itxt("XML:com.adobe.xmp", CANARY.decode(), zip=True)
    return encoded(picture(), "PNG", pnginfo=texts, exif=exif(), icc_profile=CANARY * 10)


def animated(kind: str) -> bytes:
    frames = [picture(shade=shade) for shade in (60, 120)]
    return encoded(picture(), kind, save_all=True, append_images=frames, lossless=True)


def mpo() -> bytes:
    """What many telephones write: a JPEG with a second one behind it."""
    return encoded(picture(), "MPO", save_all=True, append_images=[picture(shade=90)])


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1, of which the first is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(content), entries, content)


DRAWN = b"0.9 0.2 0.1 rg 20 20 160 120 re f"


def one_page(
    *more: bytes,
    drawn: bytes = DRAWN,
    box: bytes = b"0 0 300 400",
    catalogue: bytes = b"",
    page: bytes = b"",
    trailer: bytes = b"",
) -> bytes:
    """A PDF of one page; ``more`` objects are numbered from 5."""
    return pdf(
        b"<</Type /Catalog /Pages 2 0 R %s>>" % catalogue,
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /MediaBox [%s] /Contents 4 0 R %s>>" % (box, page),
        stream(drawn),
        *more,
        trailer=trailer,
    )


def pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(3, 3 + count))
    leaf = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 300 400]>>"
    tree = b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, count)
    return pdf(b"<</Type /Catalog /Pages 2 0 R>>", tree, *[leaf] * count)


def pdf_with_script() -> bytes:
    """One that runs a script when it is opened, starts a program, and carries a file."""
    return one_page(
        b"<</S /JavaScript /JS (app.alert\\('%s'\\); this.submitForm\\('http://example.com'\\))>>" % CANARY,
        b"<</S /Launch /F (calc.exe)>>",
        stream(CANARY, b"/Type /EmbeddedFile"),
        catalogue=b"/OpenAction 5 0 R /AA <</WC 6 0 R>> /Names <</JavaScript <</Names [(a) 5 0 R]>>>>",
        page=b"/AA <</O 5 0 R>>",
    )


def pdf_with_password() -> bytes:
    encryption = b"<</Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s>>>" % (b"41" * 32, b"42" * 32)
    return one_page(encryption, trailer=b"/Encrypt 5 0 R /ID [<00> <00>]")


def pdf_with_image(width: int, height: int, packed: bytes, filters: bytes) -> bytes:
    size = b"/Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8" % (width, height)
    image = stream(packed, b"/Type /XObject /Subtype /Image %s /Filter [%s]" % (size, filters))
    return one_page(image, drawn=b"200 0 0 200 20 20 cm /I Do", page=b"/Resources <</XObject <</I 5 0 R>>>>")


def pdf_bomb() -> bytes:
    """About a kilobyte of PDF; its image has a gigabyte of pixels."""
    return pdf_with_image(32768, 32768, zlib.compress(bomb(1024), 9), b"/FlateDecode /FlateDecode")


def pdf_that_never_ends() -> bytes:
    """A few kilobytes that paint the whole page half a million times."""
    drawn = zlib.compress(b"0 0 300 400 re f " * 500_000, 9)
    return one_page().replace(stream(DRAWN), stream(drawn, b"/Filter /FlateDecode"))


def pdf_of_forms_in_forms(depth: int = 12) -> bytes:
    """A form that draws a form ten times, which draws a form ten times, and so on: 10^12 rectangles."""
    first = 5
    forms = [
        stream(
            b"/F Do " * 10,
            b"/Type /XObject /Subtype /Form /BBox [0 0 300 400] /Resources <</XObject <</F %d 0 R>>>>" % (number + 1),
        )
        for number in range(first, first + depth)
    ]
    last = stream(b"0 0 300 400 re f " * 50, b"/Type /XObject /Subtype /Form /BBox [0 0 300 400]")
    return one_page(*forms, last, drawn=b"/F Do", page=b"/Resources <</XObject <</F 5 0 R>>>>")


def pdf_that_draws_itself() -> bytes:
    form = stream(
        b"/F Do /F Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 300 400] /Resources <</XObject <</F 5 0 R>>>>",
    )
    return one_page(form, drawn=b"/F Do", page=b"/Resources <</XObject <</F 5 0 R>>>>")


def pdf_whose_tables_go_round() -> bytes:
    """The table of objects says that the one before it is itself."""
    file = one_page()
    place = file.index(b"xref\n")
    return file.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % place)


def pdf_whose_pages_go_round() -> bytes:
    return pdf(b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [2 0 R 2 0 R] /Count 2 /Parent 2 0 R>>")


def webp_of_claimed_size(side: int) -> bytes:
    file = bytearray(encoded(picture(), "WEBP", exif=exif()))
    assert file[12:16] == b"VP8X"
    file[24:30] = (side - 1).to_bytes(3, "little") * 2
    return bytes(file)


def pdf_whose_length_is_itself() -> bytes:
    return one_page(b"5 0 R").replace(b"<</Length %d" % len(DRAWN), b"<</Length 5 0 R")


UNSUPPORTED: dict[str, Callable[[], bytes]] = {
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "html": lambda: SCRIPT,
    "html that begins like a comment": lambda: b"<!--\xff\xd8\xff-->" + SCRIPT,
    "gifar": lambda: encoded(picture("P"), "GIF") + archive(),
    "gif": lambda: encoded(picture("P"), "GIF"),
    "tiff": lambda: encoded(picture(), "TIFF"),
    "bmp": lambda: encoded(picture(), "BMP"),
    "heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
    "zip": archive,
    "program": lambda: b"\x7fELF" + bytes(200),
    "postscript": lambda: b"%!PS-Adobe-3.0\n" + bytes(200),
    "riff that is no picture": lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "one byte": lambda: b"\xff",
}
