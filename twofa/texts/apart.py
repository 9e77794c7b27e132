"""What is approved, and what is typed, stands by itself: one digit more, and it is another amount."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.template.base import TextNode, VariableNode
from django.template.defaulttags import ForNode

from twofa import wording
from twofa.texts.faults import NOT_APART, Fault, place
from twofa.texts.markup import WORDS
from twofa.texts.variables import APART

_ENDS_OPEN, _BEGINS_OPEN = re.compile(r"[^\W_][.,]?\Z|[-−]\Z"), re.compile(r"\A[.,]?[^\W_]|\A[-−]")
_DRESSING = re.compile(rf"</?(?:{'|'.join(WORDS)})>", re.IGNORECASE)
_ELEMENT = re.compile(r"<[^>]*>")


def ensure(nodes: Iterable[Any], source: str, *, as_html: bool) -> None:
    """Raise where what is approved or typed runs into what stands beside it. Raises: Fault.

    "1{{ amount }}" reads as another amount, and "{{ token }}7" as a token that is none: both are shown, and neither can
    be read. Proved from the structure, whichever way the branches go: what staff try out has one amount, and what is
    sent another.
    """
    _Neighbours(source, as_html).look(list(nodes), (), ())


def branches(node: Any) -> Iterator[Any]:
    """Give the nodes inside of an ``if`` or a ``for``."""
    if isinstance(node, ForNode):
        yield from (node.nodelist_loop, node.nodelist_empty)
    for _condition, branch in getattr(node, "conditions_nodelists", ()):
        yield branch


_NOTHING = object()
"""Stands for a way through that shows nothing."""


class _Neighbours:
    def __init__(self, source: str, as_html: bool) -> None:
        self.source, self.as_html = source, as_html

    def look(self, nodes: Sequence[Any], before: Sequence[Any], after: Sequence[Any]) -> None:
        """Look at each of ``nodes`` between what may stand ``before`` and ``after`` all of them."""
        for number, node in enumerate(nodes):
            left = self._next(list(reversed(nodes[:number])), before, backwards=True)
            right = self._next(nodes[number + 1 :], after, backwards=False)
            if isinstance(node, VariableNode) and _name_of(node) in APART:
                self._ensure_free(node, left, right)
            for branch in branches(node):
                inside = list(branch)
                # What is gone through stands beside itself.
                again = inside if isinstance(node, ForNode) and branch is node.nodelist_loop else []
                self.look(
                    inside,
                    [*left, *self._next(again[::-1], (), backwards=True)],
                    [*right, *self._next(again, (), backwards=False)],
                )

    def _ensure_free(self, node: Any, left: Sequence[Any], right: Sequence[Any]) -> None:
        if any(self._runs_on(n, _ENDS_OPEN) for n in left) or any(self._runs_on(n, _BEGINS_OPEN) for n in right):
            raise Fault(NOT_APART, name="{{ " + _name_of(node) + " }}", **place(self.source, node.token.position[0]))

    def _next(self, nodes: Sequence[Any], beyond: Sequence[Any], *, backwards: bool) -> list[Any]:
        """Return all that may come first of ``nodes``, and of what is ``beyond`` where they may show nothing."""
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, VariableNode) or (isinstance(node, TextNode) and self._visible(node)):
                return [*found, node]
            ways = [
                self._next(branch[::-1] if backwards else branch, (_NOTHING,), backwards=backwards)
                for branch in map(list, branches(node))
            ]
            found += [first for way in ways for first in way if first is not _NOTHING]
            if _is_exhaustive(node) and not any(_NOTHING in way for way in ways):
                return found
        return [*found, *beyond]

    def _visible(self, node: Any) -> str:
        """Return what is seen of words: elements that dress words are not, and others keep them apart."""
        if not self.as_html:
            return str(node.s)
        return wording.visible(html.unescape(_ELEMENT.sub(" ", _DRESSING.sub("", node.s))))

    def _runs_on(self, beside: Any, pattern: re.Pattern[str]) -> bool:
        return isinstance(beside, VariableNode) or pattern.search(self._visible(beside)) is not None


def _is_exhaustive(node: Any) -> bool:
    """Tell whether one of a node's branches is taken in any case; what shows nothing at all has none."""
    conditions = [condition for condition, _branch in getattr(node, "conditions_nodelists", ())]
    return isinstance(node, ForNode) or None in conditions


def _name_of(node: Any) -> str:
    return ".".join(node.filter_expression.var.lookups)
