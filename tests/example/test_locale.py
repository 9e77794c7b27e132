from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest

from tests.example.blocks import ROOT
from tests.example.serving import Served
from tests.example.test_walkthroughs import read

EXAMPLE = ROOT / "example_project"
LANGUAGES = {"pt_BR": "Os pontos só saem", "es": "Los puntos solo salen"}


def catalog(language: str) -> Path:
    return EXAMPLE / "locale" / language / "LC_MESSAGES" / "django.po"


def pairs(language: str) -> dict[str, str]:
    text = catalog(language).read_text()
    found = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', text, flags=re.MULTILINE)
    return {source.replace('\\"', '"'): target.replace('\\"', '"') for source, target in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_compiled(language: str):
    with catalog(language).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)

    assert pairs(language)
    for source, target in pairs(language).items():
        assert target, source
        assert compiled.gettext(source) == target, f"{source!r}: compile the catalog anew (manage.py compilemessages)"


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_the_templates_are_in_the_catalog(language: str):
    used = {
        text
        for template in (EXAMPLE / "templates").rglob("*.html")
        for _quote, text in re.findall(r"{% translate ([\"'])(.+?)\1 %}", template.read_text())
    }

    assert used
    assert used <= set(pairs(language))


def test_pages_follow_the_browsers_language(served: Served):
    for language, title in LANGUAGES.items():
        page = read(f"{served.base}/", language=language.replace("_", "-"))
        assert title in page
        assert f'<html lang="{language.replace("_", "-").lower()}">' in page.lower()
