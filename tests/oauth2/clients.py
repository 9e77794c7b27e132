"""Applications of the host's OAuth2 server, and what their backends do: ask its real endpoints for tokens."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.contrib.auth import get_user_model
from django.test import Client
from oauth2_provider.models import Application

from tests.stories import STAFF
from twofa.contrib.oauth2 import applications
from twofa.contrib.oauth2.models import StorefrontApplication

SECRET = "a client secret of the tests"
REDIRECT = "https://client.example/back"
_numbers = itertools.count(1)


def register(**columns: Any) -> Any:
    """A confidential application for client credentials, unless ``columns`` say otherwise."""
    number = next(_numbers)
    return Application.objects.create(
        **{
            "name": f"Application {number}",
            "client_id": f"client-{number}",
            "client_secret": SECRET,
            "client_type": "confidential",
            "authorization_grant_type": "client-credentials",
            **columns,
        }
    )


def linked(shop: Any, *scopes: str) -> Any:
    """An application that calls as the shop's storefront."""
    application = register()
    applications.link(application, storefront=shop.storefront, scopes=scopes, actor=STAFF)
    return application


def post(path: str, application: Any, **form: Any) -> Any:
    """What a backend posts to the server, with its client's id and secret."""
    credentials = base64.b64encode(f"{application.client_id}:{SECRET}".encode()).decode()
    return Client().post(f"/o/{path}/", form, headers={"Authorization": f"Basic {credentials}"})


def ask(application: Any, *scopes: str, **form: Any) -> str:
    """A token for client credentials; no scope named: all that the server has."""
    named = {"scope": " ".join(scopes)} if scopes else {}
    answer = post("token", application, grant_type="client_credentials", **named, **form)
    assert answer.status_code == 200, answer.content
    token: str = answer.json()["access_token"]
    return token


def ask_for_person(*scopes: str) -> tuple[Any, str]:
    """An application that a person lets act for them, and its token: by a code, with PKCE."""
    application = register(authorization_grant_type="authorization-code", redirect_uris=REDIRECT)
    person, verifier = Client(), secrets.token_urlsafe(48)
    person.force_login(get_user_model().objects.create_user(application.client_id))
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": REDIRECT,
        "scope": " ".join(scopes),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    answer = person.post("/o/authorize/", {**asked, "allow": "Authorize"})
    assert answer.status_code == 302, answer.content
    (code,) = parse_qs(urlsplit(answer["Location"]).query)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": verifier}
    answer = post("token", application, **form)
    assert answer.status_code == 200, answer.content
    return application, answer.json()["access_token"]


def force_link(application: Any, shop: Any) -> None:
    """A link that no flow would make."""
    StorefrontApplication.objects.create(application=application, storefront=shop.storefront)
