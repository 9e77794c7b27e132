from __future__ import annotations

import pytest
from django.test import override_settings
from django.utils import translation

from twofa.api import languages


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", None),
        ("*", None),
        ("fr", None),
        ("pt-BR", "pt-br"),
        ("pt", "pt-br"),
        ("pt-PT", "pt-br"),
        ("ES-mx", "es"),
        ("en-GB, en;q=0.9", "en"),
        ("fr, es;q=0.5, en;q=0.9", "en"),
        ("en;q=0, es;q=0.1", "es"),
        ("en;q=0", None),
        ("en;q=x, es;q=.5", "es"),
        ("es;q=0.5,pt-br;q=0.5", "es"),
        ("en;level=1", "en"),
        ("en;q=５", None),
        (";;;,,,", None),
        ("enough", None),
    ],
)
def test_best_of_our_languages_is_chosen(header, chosen):
    assert languages.choose(header) == chosen


def test_language_is_spoken_inside_only():
    with translation.override("es"):
        with languages.activated("pt-BR") as tag:
            assert (tag, translation.get_language()) == ("pt-BR", "pt-br")

        assert translation.get_language() == "es"


@override_settings(LANGUAGE_CODE="es")
def test_without_one_of_ours_the_host_s_own_is_spoken():
    """Whatever a LocaleMiddleware chose."""
    with translation.override("en"):
        with languages.activated("fr") as tag:
            assert tag == "es"

        assert translation.get_language() == "en"


def test_deactivated_translation_stays_so():
    with translation.override(None):
        with languages.activated("es"):
            assert translation.get_language() == "es"

        assert translation.get_language() is None


def test_long_header_is_cut():
    with languages.activated("fr," * 10_000 + "es") as tag:
        assert tag == "en"
