"""The documentation site: `make docs`. Pages are plain Markdown, readable where the repository is hosted as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
import yaml
from django.conf import settings
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import twofa

HERE = Path(__file__).parent
METHODS = ("get", "put", "post", "patch", "delete")

if not settings.configured:
    # What the reference of Python names needs to import models: no database is opened, and no key is in use.
    settings.configure(
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_otp", "rest_framework", "twofa"],
        SECRET_KEY="documentation",
        USE_TZ=True,
    )
    django.setup()

project = "django-twofa"
author = "django-twofa contributors"
project_copyright = author
version = release = twofa.__version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
nitpicky = False
suppress_warnings: list[str] = []

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"django-twofa {release}"
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"


class Operations(Directive):
    """One table for each tag of the OpenAPI document: method, path, what it does."""

    def run(self) -> list[nodes.Node]:
        source = HERE / "reference" / "openapi.yaml"
        self.state.document.settings.env.note_dependency(str(source))
        document = yaml.safe_load(source.read_text())
        return [node for tag in document["tags"] for node in _section(document, tag)]


def _section(document: dict[str, Any], tag: dict[str, str]) -> list[nodes.Node]:
    lines = [
        (method.upper(), path, operation["summary"])
        for path, operations in document["paths"].items()
        for method in METHODS
        if tag["name"] in (operation := operations.get(method, {})).get("tags", ())
    ]
    title = nodes.rubric("", tag["name"].capitalize())
    return [title, _table(("method", "path", "what it does"), lines)]


def _table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> nodes.Node:
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=width) for width in (1, 5, 5)]
    group += nodes.thead("", _row(head, codes=()))
    group += nodes.tbody("", *[_row(line, codes=(0, 1)) for line in lines])
    return nodes.table("", group)


def _row(texts: tuple[str, ...], codes: tuple[int, ...]) -> nodes.Node:
    row = nodes.row()
    for place, text in enumerate(texts):
        content = nodes.literal(text, text) if place in codes else nodes.Text(text)
        row += nodes.entry("", nodes.paragraph("", "", content))
    return row


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("operations", Operations)
