"""What a text shows whichever way its branches go: proved from its structure, not tried out with examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.template.base import VariableNode
from django.template.defaulttags import ForNode, IfNode, TemplateLiteral


@dataclass(frozen=True)
class Seen:
    """What is shown whichever way the branches go; and before every place where the token stands."""

    always: frozenset[str]
    before_token: frozenset[str] | None = None

    def then(self, later: Seen) -> Seen:
        """Return what was shown once ``later``, which knows what came before it, was shown as well."""
        return Seen(later.always, _common(self.before_token, later.before_token))


def _common(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def shown(nodes: Iterable[Any], before: frozenset[str], *, given: frozenset[str]) -> Seen:
    """Return what ``nodes`` show in every case, after ``before``; those ``given`` have a value, which is known."""
    seen = Seen(before)
    for node in nodes:
        if isinstance(node, VariableNode):
            name = node.filter_expression.var.var
            seen = seen.then(Seen(seen.always | {name}, seen.always if name == "token" else None))
        elif isinstance(node, IfNode):
            seen = seen.then(_of_branches(node, seen.always, given))
        elif isinstance(node, ForNode):
            seen = seen.then(_of_loop(node, seen.always, given))
    return seen


def _of_loop(node: Any, before: frozenset[str], given: frozenset[str]) -> Seen:
    # There may be no item: then what stands in the loop is not shown at all.
    inside = shown(node.nodelist_loop, before, given=given)
    instead = shown(node.nodelist_empty, before, given=given)
    return Seen(inside.always & instead.always, _common(inside.before_token, instead.before_token))


def _of_branches(node: Any, before: frozenset[str], given: frozenset[str]) -> Seen:
    branches: list[Seen] = []
    may_be_none = True
    for condition, nodelist in node.conditions_nodelists:
        branches.append(shown(nodelist, before, given=given))
        if condition is None or _plain_name(condition) in given:
            # Nothing after it is ever reached.
            may_be_none = False
            break
    if may_be_none:
        branches.append(Seen(before))
    token: frozenset[str] | None = None
    for branch in branches:
        token = _common(token, branch.before_token)
    return Seen(frozenset.intersection(*(branch.always for branch in branches)), token)


def _plain_name(condition: Any) -> str:
    """Return the variable whose value alone is the condition, or an empty text."""
    expression: Any = condition.value if isinstance(condition, TemplateLiteral) else None
    if expression is None or expression.filters:
        return ""
    return str(getattr(expression.var, "var", ""))
