"""The language of texts: its engine, and the look through what was parsed, node by node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from django.template import Engine, Library, TemplateSyntaxError, defaultfilters, defaulttags
from django.template.base import DebugLexer, TextNode, TokenType, VariableNode
from django.utils.translation import gettext_lazy as _

from twofa import wording
from twofa.texts import apart
from twofa.texts.faults import LINK, Fault, place
from twofa.texts.variables import LINE, known

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_LOOP = ("counter", "first", "last")
# Words may be cased. What is approved, and what is typed, stands as it is.
_WORDS = frozenset({"campaign", "item", "unit", "requester", "document", "reason", "name"})
# None that shortens: an item of one letter would be shown, and nobody would know what they approve.
_FILTERS = ("capfirst", "default", "lower", "upper")
_TAGS = ("if", "elif", "else", "endif", "for", "empty", "endfor")
_OPENING, _CLOSING = ("if", "for"), ("endif", "endfor")
# What is read and rendered by functions that call themselves must not be as deep as their stack.
_DEEPEST, _LONGEST_TAG = 8, 24
_EXAMPLE = "{% for line in items %}"
_NAME = re.compile(r"[a-z]\w*\Z")
_HALF = re.compile(r"\{[{%#]|[}%#]\}")

register = Library()
register.tag("if", defaulttags.do_if)
register.tag("for", defaulttags.do_for)
for _filter in _FILTERS:
    register.filter(_filter, getattr(defaultfilters, _filter))


class _LockedEngine(Engine):
    """An engine that finds no file, and knows the tags and filters of this module alone."""

    default_builtins = [__name__]

    def __init__(self) -> None:
        # Debugging, for the places of errors: they are told to whoever wrote the text.
        super().__init__(debug=True, loaders=[("django.template.loaders.locmem.Loader", {})])


@cache
def _engine() -> Engine:
    return _LockedEngine()


def _ensure_tags(source: str) -> None:
    """Raise where a tag is not one of ours, before anything is made of it. Raises: Fault."""
    tokens: list[Any] = DebugLexer(source).tokenize()
    depth = 0
    for token in tokens:
        _ensure_closed(source, token)
        if token.token_type == TokenType.BLOCK:
            words = token.contents.split()
            if not words or words[0] not in _TAGS:
                raise Fault(
                    _("“%(tag)s” is not allowed here. Use: %(allowed)s.")
                    % {"tag": "{% " + token.contents + " %}", "allowed": "if, elif, else, for, empty"},
                    **place(source, *token.position),
                )
            depth += (words[0] in _OPENING) - (words[0] in _CLOSING)
            if depth > _DEEPEST or len(words) > _LONGEST_TAG:
                raise Fault(_("This is too much at once: say it more simply."), **place(source, token.position[0]))


def _ensure_closed(source: str, token: Any) -> None:
    """Raise where half a variable or tag stands in the words: people would be sent the braces. Raises: Fault."""
    half = _HALF.search(token.contents) if token.token_type == TokenType.TEXT else None
    if half is not None:
        where = place(source, token.position[0] + half.start(), token.position[0] + half.end())
        raise Fault(_("It cannot be read. Is something not closed, or closed twice?"), **where)


def _unreadable(source: str, error: TemplateSyntaxError) -> Fault:
    token: Any = getattr(error, "token", None)
    if token is None or not token.position:
        return Fault(_("It cannot be read. Is something not closed, or closed twice?"))
    if token.token_type == TokenType.VAR:
        return Fault(
            _("“%(what)s” cannot be read. Filters that may be used: %(filters)s.")
            % {"what": "{{ " + token.contents + " }}", "filters": ", ".join(_FILTERS)},
            **place(source, *token.position),
        )
    return Fault(
        _("“%(what)s” cannot be read. Is something not closed, or closed twice?")
        % {"what": "{% " + token.contents + " %}"},
        **place(source, token.position[0]),
    )


def parsed(source: str, *, event: str, channel: str, part: str) -> Any:
    """Return the template of a text in which all is known and allowed. Raises: Fault."""
    _ensure_tags(source)
    try:
        template = _engine().from_string(source)
    except TemplateSyntaxError as error:
        raise _unreadable(source, error) from None
    _Reading(source, event, part).look(template.nodelist)
    apart.ensure(template.nodelist, source, as_html=part == "html")
    if channel != "email":
        _ensure_no_link(template.nodelist, source)
    return template


class _Reading:
    """Looks through what was parsed: every node, every name, every filter."""

    def __init__(self, source: str, event: str, part: str) -> None:
        self.source, self.part = source, part
        # The token on a locked screen is a token that others read.
        self.names = tuple(name for name in known(event) if part != "subject" or name != "token")

    def look(self, nodes: Iterable[Any], loop: str = "") -> None:
        for node in nodes:
            if isinstance(node, VariableNode):
                self._variable(node, loop)
            elif isinstance(node, defaulttags.IfNode):
                for condition, branch in node.conditions_nodelists:
                    for expression in _operands(condition):
                        self._name(expression, node, loop, in_condition=True)
                    self.look(branch, loop)
            elif isinstance(node, defaulttags.ForNode):
                self._loop(node, loop)
            elif not isinstance(node, TextNode):
                raise self._fault(_("This cannot be used here."), node)

    def _variable(self, node: Any, loop: str) -> None:
        name = self._name(node.filter_expression, node, loop, in_condition=False)
        if name == "items":
            raise self._fault(_("“items” are several: use %(example)s.") % {"example": _EXAMPLE}, node)
        if node.filter_expression.filters and name.rpartition(".")[2] not in _WORDS:
            raise self._fault(_("“%(name)s” stands as it is, without a filter.") % {"name": name}, node)

    def _loop(self, node: Any, loop: str) -> None:
        over = node.sequence.var
        if loop or getattr(over, "var", None) != "items" or node.sequence.filters or "items" not in self.names:
            raise self._fault(
                _("Only “items” can be gone through, and once: %(example)s.") % {"example": _EXAMPLE}, node
            )
        (name, *more) = node.loopvars
        if more or name in (*self.names, "forloop") or not _NAME.match(name):
            raise self._fault(_("Call each of them by a name of its own: %(example)s.") % {"example": _EXAMPLE}, node)
        self.look(node.nodelist_loop, name)
        self.look(node.nodelist_empty)

    def _name(self, expression: Any, node: Any, loop: str, *, in_condition: bool) -> str:
        """Return the name that an expression shows. Raises: Fault where it is none of this message's."""
        for _function, arguments in expression.filters:
            # A filter's argument may be a text or a number, and no variable.
            if any(is_variable for is_variable, _value in arguments):
                raise self._fault(_("Give the filter a text in quotes, or a number."), node)
        lookups = getattr(expression.var, "lookups", None)
        if lookups is None and in_condition:
            return ""
        if lookups is None or expression.var.translate:
            raise self._fault(_("Write texts as they are, without braces."), node)
        name = ".".join(lookups)
        allowed = (*self.names, *_of_loop(loop))
        if name not in allowed:
            raise self._fault(
                _("“%(name)s” is not known in this message. Known: %(known)s.")
                % {"name": name, "known": ", ".join(allowed)},
                node,
            )
        return name

    def _fault(self, reason: StrOrPromise, node: Any) -> Fault:
        return Fault(reason, **place(self.source, *node.token.position))


def _of_loop(loop: str) -> tuple[str, ...]:
    if not loop:
        return ()
    return (*(f"{loop}.{name}" for name in LINE), *(f"forloop.{name}" for name in _LOOP))


def _operands(condition: Any) -> Iterator[Any]:
    """Return the expressions of a condition, of which ``else`` has none."""
    if condition is None:
        return
    if isinstance(condition, defaulttags.TemplateLiteral):
        yield condition.value
        return
    for part in (condition.first, condition.second):
        yield from _operands(part)


def _ensure_no_link(nodes: Iterable[Any], source: str) -> None:
    """Raise where the words hold a link that a phone would open, by themselves or around a value. Raises: Fault.

    A token and a link in one short message is what every phishing campaign sends: ours never look like that. What is
    put together by branches, or stands in a filter, is seen in what is rendered, each time (``texts.ensure_no_link``).
    """
    every: list[Any] = list(_every(nodes))
    for node in every:
        if _is_words(node) and wording.has_link(node.s):
            raise Fault(LINK, **place(source, *node.token.position))
    if wording.has_link("".join(node.s if _is_words(node) else "x" for node in every)):
        raise Fault(LINK)


def _is_words(node: object) -> bool:
    return isinstance(node, TextNode)


def _every(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        yield node
        for branch in apart.branches(node):
            yield from _every(branch)
