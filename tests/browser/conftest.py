"""One browser for each process of the run; one context, with cookies of its own, for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Browser, sync_playwright

from tests.admin.conftest import World, boss, document_storage, make_world, staff
from tests.admin.lives import live_all
from tests.browser import chromium
from tests.browser.visitor import HEIGHT, WIDTHS, Visitor
from tests.example.serving import Served, serve

__all__ = ["boss", "document_storage", "staff"]


@pytest.fixture(scope="package", autouse=True)
def browser() -> Iterator[Browser]:
    """Chromium, started once. Without one the tests are skipped, or fail where ``CI`` is set."""
    program = chromium.find()
    if program is None:
        (pytest.fail if chromium.is_demanded() else pytest.skip)(f"no Chromium here; {chromium.INSTALL}")
    with pytest.MonkeyPatch.context() as environment:
        # Playwright leaves its event loop marked as running in this thread between two calls, and Django then refuses
        # the ORM, for fear of two coroutines on one connection. The only coroutines here are Playwright's.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as playwright:
            started = chromium.launch(playwright, program)
            yield started
            started.close()


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`make serve`, with data of its own that the tests share: each leaves behind what people leave behind."""
    running = serve(tmp_path_factory.mktemp("var"))
    yield running
    running.stop()


@pytest.fixture
def world(db: None) -> World:
    """One row of each kind, in a campaign whose messages staff can read."""
    return make_world(test=True)


@pytest.fixture
def lived(settings: Any, world: World) -> World:
    """The world, and beside it every state that a redemption, a message, a device or a policy can come to."""
    live_all(settings)
    return world


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """`visit(base, locale=..., java_script_enabled=...)`: a browser without a past, at the server of that address."""
    opened = []

    def open_context(base: str, *, others: tuple[tuple[str, str], ...] = (), **options: Any) -> Visitor:
        viewport = {"width": WIDTHS[-1], "height": HEIGHT}
        context = browser.new_context(**{"viewport": viewport, "reduced_motion": "reduce", **options})
        opened.append(context)
        return Visitor(context.new_page(), base, others)

    yield open_context
    for context in opened:
        context.close()


@pytest.fixture
def signed_in(live_server: Any, visit: Callable[..., Visitor]) -> Callable[..., Visitor]:
    """`signed_in(client)`: a browser at the test server, with the session of a Django client."""

    def take_over(client: Any, **options: Any) -> Visitor:
        visitor = visit(live_server.url, **options)
        value = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        name = django_settings.SESSION_COOKIE_NAME
        visitor.page.context.add_cookies([{"name": name, "value": value, "url": live_server.url}])
        return visitor

    return take_over
