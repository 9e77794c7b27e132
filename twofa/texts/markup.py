"""HTML that staff write for e-mails: elements that only dress words."""

from __future__ import annotations

from html.parser import HTMLParser

# Without attributes: nothing of these hides what it holds, leads elsewhere or runs.
_BLOCKS = ("blockquote", "br", "div", "h1", "h2", "h3", "hr", "li", "ol", "p", "ul")
_TABLES = ("table", "tbody", "td", "th", "thead", "tr")
WORDS = ("b", "em", "i", "small", "span", "strong", "u")
_EMPTY = ("br", "hr")
_SECTION = "<![ ]>"
ELEMENTS = frozenset((*_BLOCKS, *_TABLES, *WORDS))


def html_fault(html: str) -> str:
    """Return what in an e-mail's HTML could hide, lead elsewhere or run, or an empty text.

    Asked of what is rendered, each time: what a parser makes of pieces is not what it makes of the whole.
    """
    parser = _Harmless()
    try:
        parser.feed(html)
    except AssertionError:
        # How Python's parser says that a marked section is none it knows ("<![x]>").
        return _SECTION
    # A tag that is not finished would swallow what follows.
    unfinished = "<" if "<" in parser.rawdata else ""
    parser.close()
    unclosed = f"<{parser.within[-1]}>" if parser.within else ""
    return parser.fault or unfinished or unclosed


class _Harmless(HTMLParser):
    """Notes the first thing that is not allowed: an element, an attribute, one that is not closed where it belongs."""

    def __init__(self) -> None:
        super().__init__()
        self.fault = ""
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self.fault = self.fault or f"<{tag}>"
        elif attrs:
            self.fault = self.fault or f"<{tag} {attrs[0][0]}>"
        elif tag not in _EMPTY:
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        # One too many would end what our own frame began.
        if not self.within or self.within.pop() != tag:
            self.fault = self.fault or f"</{tag}>"

    def handle_comment(self, data: str) -> None:
        self.fault = self.fault or "<!-- -->"

    def handle_decl(self, decl: str) -> None:
        self.fault = self.fault or "<! >"

    def unknown_decl(self, data: str) -> None:
        self.fault = self.fault or _SECTION

    def handle_pi(self, data: str) -> None:
        self.fault = self.fault or "<? >"
