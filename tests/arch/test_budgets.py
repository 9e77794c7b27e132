"""Size is the first sign of a file with two subjects, or of a function with two jobs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 400
CONFTEST_LINES = 150
FUNCTION_LINES = 50

SOURCES = sorted(
    path
    for folder in ("twofa", "example_project", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_stay_within_budget(path: Path):
    text = path.read_text()
    lines = len(text.splitlines())
    budget = CONFTEST_LINES if path.name == "conftest.py" else FILE_LINES
    too_long = [
        f"{node.name} (line {node.lineno}): {length} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]

    assert lines <= budget
    assert too_long == []
