from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bindings import RING
from twofa import tokens
from twofa.exceptions import TokenMalformed


@pytest.fixture(autouse=True)
def ring(settings):
    settings.TWOFA_TOKEN_KEYS = RING


# --- input ------------------------------------------------------------------------------------------------------------

NOT_TEXTS = [None, 123456, True, 7.5, [], ["7K2M9Q"], {"token": "7K2M9Q"}, b"7K2M9Q", ("7", "K"), ...]
NOT_TOKENS = [
    "",
    " ",
    "-",
    "7",
    "7K2M9",
    "7K2M9QQ",
    "7" * 10_000,
    " " * 10_000 + "7K2M9Q",
    "7K2M9\x00",
    "\x007K2M9Q",
    "7K2M9Q\x00",
    "7K2M9Q\n",
    "\t7K2M9Q",
    "7K2\r\nM9Q",
    "７Ｋ２Ｍ９Ｑ",
    "７K2M9Q",
    "7\u212a2M9Q",  # the Kelvin sign, whose lower case is an ASCII k
    "7\u01312M9Q",  # dotless i, whose upper case is an ASCII I
    "7\u017f2M9Q",  # long s, whose upper case is an ASCII S
    "7К2М9Q",  # Cyrillic
    "7K2–M9Q",
    "7K2\u00a0M9Q",
    "7K2\u200bM9Q",
    "7K2_M9Q",
    "7K2M9U",  # a letter that the alphabet has not
    "7K2M9!",
    "\ud800K2M9Q",
    "%37K2M9Q",
]


@pytest.mark.parametrize(
    "value", NOT_TEXTS + NOT_TOKENS, ids=lambda value: f"{type(value).__name__}-{ascii(value)[:24]}"
)
def test_what_is_no_token_is_malformed(value: object):
    with pytest.raises(TokenMalformed):
        tokens.normalise(value, alphabet="alphanumeric", length=6)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("7K2M9Q", "7K2M9Q"),
        ("7k2m9q", "7K2M9Q"),
        ("7K2-M9Q", "7K2M9Q"),
        (" 7K2 M9Q ", "7K2M9Q"),
        ("- - 7K2M9Q - -", "7K2M9Q"),
        ("OoIiLl", "001111"),
        ("0O1I1L", "001111"),
    ],
)
def test_what_people_type_is_read_as_it_was_meant(typed: str, meant: str):
    assert tokens.normalise(typed, alphabet="alphanumeric", length=6) == meant


@pytest.mark.parametrize(("typed", "meant"), [("482 913", "482913"), ("O82-9I3", "082913")])
def test_numeric_tokens_are_read_too(typed: str, meant: str):
    assert tokens.normalise(typed, alphabet="numeric", length=6) == meant


@pytest.mark.parametrize("typed", ["48291A", "٤٨٢٩١٣", "４８２９１３", "²82913", "+82913", "4.8291"])
def test_letters_and_foreign_digits_are_no_numeric_token(typed: str):
    with pytest.raises(TokenMalformed):
        tokens.normalise(typed, alphabet="numeric", length=6)


@given(st.text(alphabet=tokens.ALPHABETS["alphanumeric"], min_size=6, max_size=6))
def test_derived_tokens_are_their_own_normal_form(text: str):
    assert tokens.normalise(text, alphabet="alphanumeric", length=6) == text
    assert tokens.normalise(text.lower(), alphabet="alphanumeric", length=6) == text


@given(st.text(max_size=12))
def test_normal_form_is_in_the_alphabet_or_refused(text: str):
    try:
        result = tokens.normalise(text, alphabet="alphanumeric", length=6)
    except TokenMalformed:
        return
    assert len(result) == 6
    assert set(result) <= set(tokens.ALPHABETS["alphanumeric"])


# --- comparison -------------------------------------------------------------------------------------------------------


def test_comparison_is_in_constant_time(monkeypatch):
    compared = []

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(tokens.hmac, "compare_digest", spy)
    assert tokens.matches("7K2M9Q", "7K2M9Q")
    assert not tokens.matches("7K2M9Q", "7K2M9R")
    assert tokens.is_sealed([b"a", b"b", b"c"], b"a")
    assert len(compared) == 5, "all seals are looked at, whatever the first one says"


def test_no_module_of_the_package_uses_random():
    """The module ``random`` can be predicted from what it has said (CVE-2023-48224)."""
    package = Path(tokens.__file__).parent
    imported = {
        name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
    }
    assert "secrets" in imported
    assert not {"random", "numpy"} & imported


def test_tokens_import_no_database_and_no_celery():
    unwanted = "('django.db.backends', 'celery')"
    code = f"import sys, twofa.tokens; print(sorted(m for m in sys.modules if m.startswith({unwanted})))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").split(".")[0]]
    return []
