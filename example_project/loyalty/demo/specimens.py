"""Pictures for the demo: drawn, marked SPECIMEN, and of nobody."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_CARD, _PORTRAIT, _SHEET = (1000, 640), (760, 960), (1000, 1400)
_INK, _FAINT, _MARK = "#1f3a36", "#7d918b", "#b3402a"
_PAPERS = ("#dfeadb", "#f3e8d2", "#dae8ee", "#f5e0d8")
_SKINS = ("#c98f66", "#e0b18b", "#8d5a3b", "#f0c9a8")


def licence_front(name: str, number: str, *, look: int = 0) -> bytes:
    """Return the front of a made-up driving licence, with what its holder is called."""
    return _jpeg(_front(name, number, look))


def licence_back(number: str, *, look: int = 0) -> bytes:
    """Return its back."""
    return _jpeg(_back(number, look))


def licence_file(name: str, number: str, *, look: int = 0) -> bytes:
    """Return the digital one: a PDF of two pages."""
    pages = []
    for card in (_front(name, number, look), _back(number, look)):
        sheet = Image.new("RGB", _SHEET, "white")
        sheet.paste(card.resize((800, 512)), (100, 160))
        ImageDraw.Draw(sheet).text((100, 80), "Digital driving licence", _INK, _font(40))
        pages.append(sheet)
    out = io.BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=100)
    return out.getvalue()


def selfie(*, look: int = 0) -> bytes:
    """Return a portrait."""
    picture = Image.new("RGB", _PORTRAIT, _PAPERS[(look + 2) % len(_PAPERS)])
    draw = ImageDraw.Draw(picture)
    draw.ellipse((80, 700, 680, 1300), _INK)
    draw.rectangle((320, 560, 440, 740), _SKINS[look % len(_SKINS)])
    _face(draw, (180, 170, 580, 690), look)
    _mark(picture)
    return _jpeg(picture)


def _front(name: str, number: str, look: int) -> Image.Image:
    card = Image.new("RGB", _CARD, _PAPERS[look % len(_PAPERS)])
    draw = ImageDraw.Draw(card)
    draw.rounded_rectangle((12, 12, 988, 628), 36, outline=_INK, width=5)
    draw.text((60, 48), "DRIVING LICENCE (CNH)", _INK, _font(30))
    draw.rectangle((60, 130, 340, 490), "white", _FAINT, 3)
    _face(draw, (110, 170, 290, 410), look)
    rows = (
        ("Name / Nome", name),
        ("CPF", number),
        ("Category / Categoria", "AB"),
        ("Valid until / Validade", "12/2031"),
    )
    _write(draw, rows, left=390, top=130)
    _mark(card)
    return card


def _back(number: str, look: int) -> Image.Image:
    card = Image.new("RGB", _CARD, _PAPERS[look % len(_PAPERS)])
    draw = ImageDraw.Draw(card)
    draw.rounded_rectangle((12, 12, 988, 628), 36, outline=_INK, width=5)
    _write(
        draw, (("Register / Registro", number[::-1]), ("Issued by / Emissor", "Nobody, for nobody")), left=60, top=70
    )
    for bar in range(40):
        draw.rectangle((60 + bar * 22, 400, 60 + bar * 22 + 4 + (bar * (7 + look)) % 12, 540), _INK)
    _mark(card)
    return card


def _write(draw: ImageDraw.ImageDraw, rows: Sequence[tuple[str, str]], *, left: int, top: int) -> None:
    for row, (label, value) in enumerate(rows):
        draw.text((left, top + row * 110), label, _FAINT, _font(26))
        draw.text((left, top + row * 110 + 34), value, _INK, _font(44))


def _face(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], look: int) -> None:
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    draw.ellipse((left - wide // 12, top - high // 10, right + wide // 12, top + high // 2), "#2b2320")
    draw.ellipse(box, _SKINS[look % len(_SKINS)])
    for eye in (0.32, 0.68):
        middle, size = left + wide * eye, wide * 0.05
        draw.ellipse((middle - size, top + high * 0.42, middle + size, top + high * 0.42 + 2 * size), "#2b2320")
    mouth = (left + wide * 0.32, top + high * 0.6, right - wide * 0.32, top + high * 0.8)
    draw.arc(mouth, 20, 160, "#5b2c22", max(3, wide // 40))


def _mark(picture: Image.Image) -> None:
    """Write across it that it is none, in a size that nobody overlooks."""
    layer = Image.new("L", picture.size, 0)
    middle = (picture.width // 2, picture.height // 2)
    ImageDraw.Draw(layer).text(middle, "SPECIMEN", 110, _font(picture.width // 6), anchor="mm")
    picture.paste(_MARK, mask=layer.rotate(18))


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
