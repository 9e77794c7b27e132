"""Code blocks of the docs that say how they are tested: `<!-- test: WORDS -->` on the line before the fence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"^<!-- test: (?P<words>[^\n]+) -->\n```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[[^\]]+\]\((?!https?://|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


@dataclass(frozen=True)
class Block:
    """One block: what to do with it, and its code."""

    words: tuple[str, ...]
    language: str
    code: str

    @property
    def kind(self) -> str:
        return self.words[0]


def blocks_of(page: str) -> list[Block]:
    """Return the tested blocks of a page, in their order."""
    text = (ROOT / page).read_text()
    found = [Block(tuple(match["words"].split()), match["language"], match["code"]) for match in _BLOCK.finditer(text)]
    assert len(found) == text.count("<!-- test:"), "a block with a mark that is not understood"
    return found


def links_of(page: str) -> list[tuple[str, str]]:
    """Return the links of a page into the repository, as path and anchor."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    return [(match["path"], match["anchor"] or "") for match in _LINK.finditer(text)]


def anchors_of(path: Path) -> set[str]:
    """Return the anchors that code hosts make of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
