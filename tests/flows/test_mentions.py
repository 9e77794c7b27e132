from __future__ import annotations

import pytest

from twofa.flows.mentions import has_controls, is_named

NAME = "Zuléica da Nóbrega Quaresma"
HANDLES = ("zq-4711", "52998224725", "+5511987654321", "zuleica.q@quaresma.example", "member-20261129")


def named(text: str) -> bool:
    return is_named(text, name=NAME, handles=HANDLES)


@pytest.mark.parametrize(
    "text",
    [
        "zuleica asked",
        "ZULÉICA ASKED",
        "Sra. Quaresma",
        "Quaresma, Z.",
        "by nobrega_zuleica",
        "see zq-4711",
        "CPF 529.982.247-25",
        "CPF 529 982 247 25",
        "CPF 52998224725",
        "CPF ٥٢٩٩٨٢٢٤٧٢٥",
        "CPF 5２９98224725",
        "half a CPF: 529.982.24",
        "+55 (11) 98765-4321",
        "0055 11 98765 4321",
        "(11) 98765-4321",
        "011 98765-4321",
        "98765.4321",
        "wrote from zuleica.q@quaresma.example",
        "member 20261129",
    ],
)
def test_text_that_names_the_person_in_any_spelling(text):
    assert named(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "request 17",
        "da parte de",
        "ticket 2026-0042",
        "zq-47112",
        "phone ending 4321",
        "529 people",
        "LGPD Art. 18",
    ],
)
def test_text_that_names_nobody(text):
    assert not named(text)


def test_short_words_of_a_name_are_words_of_other_texts_too():
    assert not is_named("ana asked for request 17", name="Ana Li")
    assert is_named("Ana Li asked", name="Ana Li")


def test_number_that_is_too_short_to_tell_is_compared_as_it_is_written():
    assert not is_named("request 1-2345", name="", handles=("12345",))
    assert is_named("request 12345", name="", handles=("12345",))


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x00", "\x1b", "\u200b", "\u202e", "\u2028", "\ud800"])
def test_characters_that_are_not_seen(character):
    assert has_controls(f"request{character}17")


def test_what_people_write_has_no_such_characters():
    assert not has_controls("pedido nº 17: “eliminação” – ação, ok…")
