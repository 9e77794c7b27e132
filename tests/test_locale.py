"""Every text that people see is in Portuguese and Spanish: in the catalogue, compiled, and in the API's answers.

Read without the tools of gettext, which a machine that runs this suite need not have.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

from tests.api.client import Api
from twofa import exceptions
from twofa.admin import words
from twofa.api import errors
from twofa.api.campaigns import CampaignsEndpoint

ROOT = Path(__file__).parents[1]
CATALOGUES = [(tree, language) for tree in ("twofa", "example_project") for language in ("pt_BR", "es")]
FUNCTIONS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
# "%(name)s" and "%(seconds).1f" of Python, "{choices}" of str.format.
PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[a-z]|\{\w+\}")
IN = "\x04"
"""What gettext keeps between a context and its text."""
ANEW = "make messages, and translate what is new"


class Entry(NamedTuple):
    """One text of a catalogue, behind its context if it has one; ``targets`` has one form, or one for each plural."""

    source: str
    plural: str
    targets: tuple[str, ...]
    flags: str


def entries(path: Path) -> list[Entry]:
    """Read a .po file as ``makemessages`` and translators write it; its header is the first entry."""
    return [_entry(block) for block in re.split(r"\n\n+", path.read_text(encoding="utf-8").strip())]


def _entry(block: str) -> Entry:
    texts: dict[str, str] = {}
    flags, keyword = "", ""
    for line in block.splitlines():
        if line.startswith("#"):
            flags += line if line.startswith("#,") else ""
            continue
        if not line.startswith('"'):
            keyword, line = line.split(" ", 1)
            texts[keyword] = ""
        texts[keyword] += ast.literal_eval(line)
    targets = tuple(text for name, text in texts.items() if name.startswith("msgstr"))
    source = f"{texts['msgctxt']}{IN}{texts['msgid']}" if "msgctxt" in texts else texts["msgid"]
    return Entry(source, texts.get("msgid_plural", ""), targets, flags)


def catalogue(tree: str, language: str) -> Path:
    return ROOT / tree / "locale" / language / "LC_MESSAGES" / "django.po"


def marked(tree: str) -> set[str]:
    """Return what the code and the templates of ``tree`` mark for translation."""
    sources = {text for path in (ROOT / tree).rglob("*.py") for text in _marked_in_code(path)}
    for suffix in ("*.html", "*.txt"):
        sources |= {text for path in (ROOT / tree).rglob(suffix) for text in _marked_in_template(path)}
    return sources


def _marked_in_code(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            # A text that is not written there cannot be found by anybody, translators included.
            assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
            yield ast.literal_eval(node.args[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "pgettext_lazy":
            yield IN.join(map(ast.literal_eval, node.args))


def _marked_in_template(path: Path) -> Iterator[str]:
    text = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    for call, first, second in re.findall(rf"(n?p?gettext)\({text}(?:, ?{text})?", templatize(path.read_text())):
        source = ast.literal_eval(first)
        yield f"{source}{IN}{ast.literal_eval(second)}" if call == "pgettext" else source


@pytest.mark.parametrize(("tree", "language"), CATALOGUES)
def test_catalogue_holds_what_is_marked_and_nothing_else(tree: str, language: str):
    known = {entry.source for entry in entries(catalogue(tree, language)) if entry.source}
    found = marked(tree)

    assert found - known == set(), ANEW
    assert known - found == set(), ANEW


@pytest.mark.parametrize(("tree", "language"), CATALOGUES)
def test_every_text_is_translated(tree: str, language: str):
    header, *texts = entries(catalogue(tree, language))
    forms = int(re.findall(r"nplurals=(\d)", header.targets[0])[0])

    for entry in texts:
        assert "fuzzy" not in entry.flags, entry.source
        assert len(entry.targets) == (forms if entry.plural else 1), entry.source
        assert all(entry.targets), entry.source


@pytest.mark.parametrize(("tree", "language"), CATALOGUES)
def test_translation_keeps_the_placeholders(tree: str, language: str):
    for entry in entries(catalogue(tree, language))[1:]:
        for target in entry.targets:
            assert sorted(PLACEHOLDER.findall(target)) == sorted(PLACEHOLDER.findall(entry.source)), entry.source


@pytest.mark.parametrize(("tree", "language"), CATALOGUES)
def test_compiled_catalogue_says_the_same(tree: str, language: str):
    path = catalogue(tree, language)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = vars(gettext.GNUTranslations(file))["_catalog"]
    expected: dict[Any, str] = {}
    for entry in entries(path):
        keys = [(entry.source, form) for form in range(len(entry.targets))] if entry.plural else [entry.source]
        expected |= dict(zip(keys, entry.targets, strict=True))

    assert compiled == expected, "manage.py compilemessages"


@pytest.mark.parametrize(
    ("language", "seconds", "expected"),
    [
        ("pt-br", 1, "1 segundo"),
        ("pt-br", 120, "2 minutos"),
        ("es", 61, "1 minuto 1 segundo"),
        ("es", 30, "30 segundos"),
        ("es", 5400, "1 hora 30 minutos"),
        ("es", 86_400_000_000, "1000000 de días"),
    ],
)
def test_plural_follows_the_language(language: str, seconds: int, expected: str):
    with translation.override(language):
        assert words.duration(timedelta(seconds=seconds)) == expected


def leaves(tree: type[exceptions.TwoFactorError]) -> list[type[exceptions.TwoFactorError]]:
    below = [branch for branch in tree.__subclasses__() if branch.__module__.startswith("twofa.")]
    return [leaf for branch in below for leaf in leaves(branch)] if below else [tree]


def raised(leaf: type[exceptions.TwoFactorError]) -> exceptions.TwoFactorError:
    """An error as it is raised, without a detail of its own."""
    if issubclass(leaf, exceptions.Limited):
        return leaf(30)
    if issubclass(leaf, exceptions.DeliveryError):
        return leaf("timeout", retryable=True)
    if issubclass(leaf, errors.Malformed):
        return leaf("unreadable")
    if issubclass(leaf, exceptions.ScopeMissing):
        return leaf(scope="checkout")
    return leaf()


LEAVES = sorted(leaves(exceptions.TwoFactorError), key=lambda leaf: leaf.__name__)


@pytest.mark.parametrize("language", ["pt-BR", "es"])
@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_error_is_told_in_the_language_asked_for(
    leaf: type[exceptions.TwoFactorError], language: str, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_args: object, **_options: object) -> None:
        raise raised(leaf)

    monkeypatch.setattr(CampaignsEndpoint, "initial", refuse)
    told, english = (Api(None).get("/campaigns/", accept_language=header) for header in (f"{language}, en;q=0.5", "en"))

    assert told["Content-Language"] == language
    assert told.json()["code"] == english.json()["code"]
    for member in ("title", "detail"):
        assert told.json()[member] != english.json()[member]


@pytest.mark.parametrize("language", ["pt-br", "es"])
@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_detail_of_an_error_is_translated(leaf: type[exceptions.TwoFactorError], language: str):
    """Of those as well that are told to staff alone."""
    with translation.override("en"):
        english = str(leaf.default_detail)
    with translation.override(language):
        assert str(leaf.default_detail) != english
