"""Every code that our flows can store is one of these, so that none is told without words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from django.utils import translation

from twofa import flows
from twofa.models import Failure

FLOWS = Path(flows.__file__).parent


def parsed() -> Iterator[ast.AST]:
    for path in FLOWS.glob("*.py"):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def stored() -> Iterator[ast.expr]:
    """The expressions that become a code: what a column is given, and what the gate refuses with."""
    for node in parsed():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RedemptionRefused":
            yield from node.args[:1]
        if isinstance(node, ast.keyword) and node.arg == "failure_code":
            yield node.value


def test_flows_store_no_code_that_is_only_a_text():
    written = {
        part.value
        for code in stored()
        for part in ast.walk(code)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }

    assert len(list(stored())) > 8
    assert written <= {""}


def test_every_code_is_stored_by_some_flow():
    named = {
        node.attr
        for node in parsed()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Failure"
    }

    assert named - {"values"} == set(Failure.names)


def test_words_of_no_two_codes_are_the_same():
    with translation.override("en"):
        words = [str(label) for label in Failure.labels]

    assert len(set(words)) == len(words) == len(Failure)
    assert all(word and word == word[0].lower() + word[1:] and not word.endswith(".") for word in words), words
