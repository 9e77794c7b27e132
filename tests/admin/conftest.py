from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.admin.world import World, make_world

PASSWORD = "a password of the tests"


@pytest.fixture(autouse=True)
def document_storage(documents_folder: Path) -> Path:
    """A place for documents: the world has one."""
    return documents_folder


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """`staff("view_campaign", ...)`: a browser in which a member of staff with these permissions is signed in."""

    def sign_in(*codenames: str, name: str = "maria", superuser: bool = False) -> Client:
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=superuser)
        permissions = Permission.objects.filter(content_type__app_label="twofa", codename__in=codenames)
        assert permissions.count() == len(codenames)
        user.user_permissions.set(permissions)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def boss(staff: Callable[..., Client]) -> Client:
    """A superuser's browser."""
    return staff(name="boss", superuser=True)


def page(model: str, name: str, *args: object) -> str:
    """The address of a page of the admin."""
    return reverse(f"admin:twofa_{model}_{name}", args=args)
