from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.example.blocks import ROOT
from tests.example.serving import Served, serve
from tests.example.shopping import Shopper, World, open_shop
from tests.servers.process import free_port as find_free_port


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return find_free_port()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`make serve`, with data of its own."""
    running = serve(tmp_path_factory.mktemp("var"))
    yield running
    running.stop()


@pytest.fixture
def world(transactional_db: None, live_server: Any, settings: Any) -> World:
    """The demo's members, and a shop that calls the live server with a key of theirs."""
    return open_shop(settings, live_server.url)


@pytest.fixture
def identity_world(world: World, documents_folder: Path) -> World:
    """The same, and a campaign that asks its members who they are; Ana has a phone there."""
    world.demand_identity()
    return world


@pytest.fixture
def shopper() -> Shopper:
    """A browser that nobody has signed in."""
    return Shopper()


@pytest.fixture
def ana(world: World) -> Shopper:
    """Ana's browser, signed in to the campaign that asks for tokens."""
    return Shopper().sign_in()


@pytest.fixture
def staffed(settings: Any) -> None:
    """A host whose admin is the example's."""
    settings.ROOT_URLCONF = "tests.example.staffed"
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    place = settings.MIDDLEWARE.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:place],
        "django_otp.middleware.OTPMiddleware",
        *settings.MIDDLEWARE[place:],
    ]


@pytest.fixture
def boss(db: None) -> User:
    """A superuser without an authenticator."""
    return User.objects.create_superuser("boss", password="a password of the tests")
