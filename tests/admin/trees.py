"""What a browser makes of a page: its elements with their attributes, its links and its forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
ADDRESSES = frozenset({"href", "src", "action", "formaction", "xlink:href", "data", "poster", "srcset", "ping"})


@dataclass
class Element:
    """One element: its name, its attributes, and the text directly within it."""

    name: str
    attributes: dict[str, str]
    text: str = ""


def _is_sent(given: dict[str, str]) -> bool:
    kind = given.get("type", "text")
    return kind not in ("submit", "button", "file", "reset") and (
        kind not in ("checkbox", "radio") or "checked" in given
    )


@dataclass
class Form:
    """One form: its method, and the values that a browser would send of it."""

    method: str
    action: str
    values: dict[str, list[str]] = field(default_factory=dict)


class Tree(HTMLParser):
    """A page, parsed. Attribute values are unescaped; the contents of ``script`` and ``style`` are theirs alone."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.forms: list[Form] = []
        self.comments: list[str] = []
        self._open: list[Element] = []
        self._select = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)
        self._fill(element)

    def handle_endtag(self, tag: str) -> None:
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position].name == tag:
                if tag == "textarea" and self.forms:
                    self._value(self._open[position].attributes.get("name", ""), self._open[position].text)
                del self._open[position:]
                return

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def _fill(self, element: Element) -> None:
        """Note what this control would send."""
        given = element.attributes
        if element.name == "form":
            self.forms.append(Form(given.get("method", "get").lower(), given.get("action", "")))
        elif element.name == "select":
            self._select = given.get("name", "")
        elif element.name == "option" and "selected" in given:
            self._value(self._select, given.get("value", ""))
        elif element.name == "input" and _is_sent(given):
            self._value(given.get("name", ""), given.get("value", "on" if given.get("type") == "checkbox" else ""))

    def _value(self, name: str, value: str) -> None:
        if name and self.forms:
            self.forms[-1].values.setdefault(name, []).append(value)

    @property
    def links(self) -> list[str]:
        """The addresses that a click on this page leads to."""
        return [element.attributes["href"] for element in self.elements if "href" in element.attributes]

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        """The page without any text: what somebody's text must never change. A line of it may end, and that is all."""
        return [(element.name, tuple(element.attributes)) for element in self.elements if element.name != "br"]

    @property
    def texts(self) -> str:
        """All that is read on the page, or typed into it already."""
        parts = [element.text for element in self.elements if element.name not in ("script", "style")]
        parts += [value for element in self.elements for value in element.attributes.values()]
        return "\n".join(parts)
