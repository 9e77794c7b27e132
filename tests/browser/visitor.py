"""A person at a browser: goes to pages, and remembers what went wrong on each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response

WIDTHS = (390, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEIGHT = 900
_PATIENCE = 120
"""Presses of Tab."""
_LONGEST = 60_000
"""Milliseconds: a machine that does other things as well is slow, and no fault of a page."""
_GRAVE = ("serious", "critical")
_OF_COLOURS = ("color-contrast", "link-in-text-block")
"""What axe can find in one scheme and not in the other."""

# Each node of a finding is told by its own selector, and by which of the selectors of others it belongs to.
# Colours that are on their way to others, half a second after a change of the scheme, are nobody's choice.
_AXE = """async ([others, rules]) => {
  document.getAnimations().forEach((one) => one.finish());
  const found = (await axe.run({resultTypes: ["violations"], ...(rules.length ? {runOnly: rules} : {})})).violations;
  return found.flatMap((rule) => rule.nodes.map((node) => {
    const element = document.querySelector(node.target[0]);
    const theirs = others.some(([id, selector]) => id === rule.id && element && element.closest(selector));
    return {rule: rule.id, impact: rule.impact, theirs, target: node.target.join(" "), why: node.failureSummary};
  }));
}"""

# What reaches over the right edge, unless something around it can be scrolled sideways, or is not there to be seen.
_OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  const excused = (element) => {
    for (let up = element; up && up !== document.body; up = up.parentElement) {
      if (up.matches(".results")) return false; // a list of rows fits, whatever Django would let it do
      const isHidden = up.getBoundingClientRect().width <= 1;
      if (isHidden || ["auto", "scroll"].includes(getComputedStyle(up).overflowX)) return true;
    }
    return false;
  };
  const over = [...document.body.querySelectorAll("*")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && box.right > wide + 1 && !excused(element)
      && element.checkVisibility({checkVisibilityCSS: true});
  });
  const name = (element) => element.tagName.toLowerCase() + (element.id ? "#" + element.id : "")
    + (element.getAttribute("class") ? "." + element.getAttribute("class").trim().replace(/\\s+/g, ".") : "");
  const page = document.documentElement.scrollWidth > wide ? [`page: ${document.documentElement.scrollWidth}`] : [];
  return [...page, ...over.map(name)].slice(0, 6);
}"""

_TEXTS = """(html) => {
  const page = html === null ? document : new DOMParser().parseFromString(html, "text/html");
  const names = ["aria-label", "title", "placeholder", "data-label"];
  const texts = [page.title];
  const walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const {data, parentElement} = walk.currentNode;
    // A language is called by its own name, and says so.
    const isForeign = parentElement.closest("[lang]").lang !== page.documentElement.lang;
    if (!isForeign && !["SCRIPT", "STYLE", "TEXTAREA"].includes(parentElement.tagName)) texts.push(data);
  }
  for (const element of page.querySelectorAll("*")) {
    for (const name of names) texts.push(element.getAttribute(name) || "");
    if (element.type === "submit") texts.push(element.value);
  }
  return texts.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""


@dataclass
class Visitor:
    """One page of one browser context; ``troubles`` collects console errors, failed and foreign requests."""

    page: Page
    base: str
    others: tuple[tuple[str, str], ...] = ()
    """Markup that is not ours: an axe rule, and a selector within which its findings do not count."""
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_LONGEST)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.troubles.append(f"{self.where}: {error}"))
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_answer)

    @property
    def where(self) -> str:
        return urlsplit(self.page.url).path

    def go(self, path: str) -> Response:
        """Open a page of the server under test."""
        answer = self.page.goto(self.base + path, wait_until="load")
        assert answer is not None
        return answer

    def tab_to(self, selector: str) -> Locator:
        """Press Tab until what is wanted has the focus, as people do who have no mouse."""
        for _press in range(_PATIENCE):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                return self.page.locator("*:focus")
        raise AssertionError(f"{self.where}: {selector} is not reached by the keyboard")

    def shows_focus(self) -> bool:
        """Tell whether people see where the keyboard is."""
        style = "getComputedStyle(document.activeElement)"
        shown: bool = self.page.evaluate(f"{style}.outlineStyle !== 'none' && parseFloat({style}.outlineWidth) >= 1")
        return shown

    def follow(self, key: str = "Enter") -> None:
        """Press a key that leads to another page, and wait until that is there."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.keyboard.press(key)

    def texts(self, html: str | None = None) -> list[str]:
        """Return what can be read on the page, or in ``html``, piece by piece, names of controls included."""
        found: list[str] = self.page.evaluate(_TEXTS, html)
        return found

    def inspect(self) -> list[str]:
        """Return what is wrong with the page at each width and in each scheme: by axe, and cut at the right edge."""
        found = []
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            found += [f"{self.where} at {width}: wider than the page: {name}" for name in self.too_wide()]
            for scheme, rules in zip(SCHEMES, ((), _OF_COLOURS), strict=True):
                self.page.emulate_media(color_scheme=scheme)
                found += [f"{self.where} at {width}, {scheme}: {line}" for line in self.barriers(rules)]
        return found

    def too_wide(self) -> list[str]:
        """Return what reaches over the right edge at the present width."""
        found: list[str] = self.page.evaluate(_OVERFLOW)
        return found

    def barriers(self, rules: Sequence[str] = ()) -> list[str]:
        """Return axe's serious and critical findings on the page as it stands, by all of its rules or by these."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE_SCRIPT)
        found: list[dict[str, Any]] = self.page.evaluate(_AXE, [[list(pair) for pair in self.others], list(rules)])
        return [
            re.sub(r"\s+", " ", f"{one['rule']} ({one['impact']}) at {one['target']}: {one['why']}")
            for one in found
            if one["impact"] in _GRAVE and not one["theirs"]
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        # A browser asks for an icon by itself where a page names none.
        if message.type in ("error", "warning") and not message.location["url"].endswith("/favicon.ico"):
            self.troubles.append(f"{self.where}: console: {message.text}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.base + "/", "data:", "blob:", "about:")):
            self.troubles.append(f"{self.where}: leaves the host: {request.url}")

    def _note_answer(self, answer: Response) -> None:
        is_page = answer.request.resource_type == "document"
        if answer.status >= (500 if is_page else 400) and not answer.url.endswith("/favicon.ico"):
            self.troubles.append(f"{self.where}: {answer.status} from {answer.url}")
