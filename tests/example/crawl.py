"""Opens every page of the example's admin, as each kind of visitor: run as a process, with the example's settings.

Writes JSON: the addresses, what each visitor was answered, and whether a row of the database is another one after it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
django.setup()

from django.apps import apps  # noqa: E402 - Django stands from here on
from django.contrib.admin.models import LogEntry  # noqa: E402
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core import serializers  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import URLPattern, URLResolver, get_resolver  # noqa: E402
from django.utils import timezone  # noqa: E402
from django_otp import DEVICE_ID_SESSION_KEY  # noqa: E402
from django_otp.plugins.otp_totp.models import TOTPDevice  # noqa: E402

from example_project.loyalty.demo import seed  # noqa: E402
from example_project.staff import authenticators  # noqa: E402
from twofa.models import Device  # noqa: E402

BODIES: dict[str, dict[str, Any] | None] = {
    "GET": None,
    "POST nothing": {},
    "POST a form": {
        "post": "yes",
        "_save": "1",
        "action": "delete_selected",
        "_selected_action": "1",
        "name": "crawled",
        "reason": "crawled",
        "password1": "crawled-by-a-thief",
        "password2": "crawled-by-a-thief",
        "old_password": "x",
    },
}


def routes(patterns: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Every route below the admin, with the name of its model where it has one."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, str(pattern.name or "")


def addresses() -> list[str]:
    """Every address of the admin, for a row that exists and for one that does not."""
    (admin,) = [pattern for pattern in get_resolver().url_patterns if getattr(pattern, "app_name", "") == "admin"]
    assert isinstance(admin, URLResolver)
    found = []
    for route, _name in routes(admin.url_patterns, "/admin/"):
        found += list(filled(route))
    return sorted(set(found))


def filled(route: str) -> Iterator[str]:
    if "(?P<url>" in route:  # what takes the rest
        yield from ("/admin/nothing/of/ours/", "/admin/doc/", "/admin/password_reset/")
    elif "(?P<app_label>" in route:
        yield from (f"/admin/{label}/" for label in ("auth", "twofa", "loyalty"))
    elif "<" not in route:
        yield route
    else:
        names = route.split("/")
        model = next((m for m in apps.get_models() if m._meta.app_label in names and m._meta.model_name in names), None)
        row = model._base_manager.first() if model else None
        for value in {"1", str(row.pk) if row else "1"}:
            yield "/".join(value if part.startswith("<") else part for part in names)


def visitors() -> dict[str, Client]:
    """All but the last have no second factor, or one that is none."""
    staff = User.objects.get(username=seed.STAFF)
    authenticator = authenticators.equip(staff)
    invitation = authenticators.invite(staff)
    participant = seed.participant(seed.GUARDED)
    phone = Device.objects.create(
        participant=participant,
        user=staff,
        channel="sms",
        address=seed.PHONE,
        status=Device.Status.ACTIVE,
        confirmed=True,
        activated_at=timezone.now(),
        usable_from=timezone.now(),
    )
    other = authenticators.equip(User.objects.create_superuser("other", password="a-long-password"))
    return {
        "nobody": Client(SERVER_NAME="localhost"),
        "password": signed_in(staff, None),
        "invited": signed_in(staff, invitation),
        "phone": signed_in(staff, phone),
        "colleague's": signed_in(staff, other),
        "both": signed_in(staff, authenticator),
    }


def signed_in(user: User, device: Any) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    if device is not None:
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.save()
    return client


def stored() -> str:
    """Every row, but for sessions."""
    models = [model for model in apps.get_models() if model is not Session and model._meta.managed]
    return "\n".join(serializers.serialize("json", model._base_manager.order_by("pk")) for model in models)


def crawl() -> dict[str, Any]:
    call_command("migrate", verbosity=0, interactive=False)
    seed.plant()
    people, pages = visitors(), addresses()
    before = stored()
    answers = []
    for visitor, client in people.items():
        client.raise_request_exception = False
        for address in pages:
            # By every method as whoever has the password; as the others it is the same gate.
            for what, body in list(BODIES.items())[: None if visitor == "password" else 1]:
                response = client.get(address) if body is None else client.post(address, body)
                answers.append([visitor, what, address, response.status_code, response.headers.get("Location", "")])
        if visitor != "both":
            assert stored() == before, visitor
    sites = [p for p in get_resolver().url_patterns if isinstance(p, URLResolver) and p.app_name == "admin"]
    shown = [TOTPDevice.objects.filter(confirmed=True).count(), len(sites)]
    return {
        "pages": pages,
        "answers": answers,
        "devices_and_sites": shown,
        "invitations": invitations(people["both"]),
        "rights": rights(people["both"]),
    }


def invitations(superuser: Client) -> dict[str, Any]:
    """Who may invite whom, in the list of users, and what the link does."""
    maria = User.objects.create_user("maria", password="a-long-password", is_staff=True)
    maria.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    page, body = "/admin/auth/user/", {"action": "invite", "_selected_action": [maria.pk]}
    before = TOTPDevice.objects.count()
    deputy = signed_in(maria, authenticators.equip(maria))
    refused = deputy.post(page, body, follow=True)
    made = TOTPDevice.objects.count() - before - 1
    wrong = User.objects.create_user("member")
    superuser.post(page, {"action": "invite", "_selected_action": [wrong.pk]})
    superuser.post(page, {"action": "invite", "_selected_action": [wrong.pk, maria.pk]})
    mistaken = TOTPDevice.objects.filter(confirmed=False, user__in=[wrong, maria]).count()
    shown = superuser.post(page, body, headers={"x-forwarded-host": "evil.example"})
    text = shown.content.decode()
    (link,) = set(re.findall(r'"(/staff/enroll/[^"]+)"', text))
    return {
        "offered_to_deputy": "invite" in deputy.get(page).content.decode(),
        "made_by_deputy": made,
        "deputy_status": refused.status_code,
        "made_by_mistake": mistaken,
        "opens": Client(SERVER_NAME="localhost").get(link).status_code,
        "host_in_page": "evil" in text or "//localhost" in text,
        "noted": LogEntry.objects.filter(object_id=str(maria.pk)).count(),
        "cache": shown["Cache-Control"],
    }


def rights(superuser: Client) -> dict[str, Any]:
    """What somebody makes of themselves, and of others, who may change users and no more."""
    hr, colleague = (User.objects.create_user(name, password="a-long-password", is_staff=True) for name in ("hr", "jo"))
    changing = Permission.objects.filter(codename__in=["view_user", "change_user"])
    hr.user_permissions.set(changing)
    boss = User.objects.get(username=seed.STAFF)
    client = signed_in(hr, authenticators.equip(hr))
    users = {"self": hr, "colleague": colleague, "superuser": boss}
    before = {name: rights_of(user) for name, user in users.items()}
    forged = {name: client.post(page_of(user), form_of(user)).status_code for name, user in users.items()}
    corrected = User.objects.filter(last_name="Corrected").count()
    after = {name: rights_of(user) for name, user in users.items()}
    passwords = {name: set_password(client, user) for name, user in users.items() if name != "self"}
    shown = {name: "../password/" in client.get(page_of(user)).content.decode() for name, user in users.items()}
    client.post(page_of(boss), {**form_of(boss), "username": "x", "is_active": ""})
    own = set_password(client, hr)
    given = superuser.post(page_of(colleague), {**form_of(colleague), "last_name": "Given"}).status_code
    return {
        "changed": [name for name in users if before[name] != after[name]],
        "forged": forged,
        "corrected": corrected,
        "passwords": passwords,
        "way_to_password": shown,
        "own_password": own,
        "superuser_is_kept": User.objects.filter(pk=boss.pk, username=boss.username, is_active=True).exists(),
        "by_superuser": [given, User.objects.get(pk=colleague.pk).is_superuser, set_password(superuser, colleague)],
    }


def page_of(user: User) -> str:
    return f"/admin/auth/user/{user.pk}/change/"


def form_of(user: User) -> dict[str, Any]:
    """The form of a user's page, with all the rights there are."""
    return {
        "username": user.username,
        "last_name": "Corrected",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [group.pk for group in Group.objects.all()],
        "user_permissions": [permission.pk for permission in Permission.objects.all()],
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }


def rights_of(user: User) -> list[Any]:
    user = User.objects.get(pk=user.pk)
    return [user.is_superuser, user.is_staff, sorted(user.get_all_permissions()), user.groups.count()]


def set_password(client: Client, user: User) -> list[Any]:
    """What the page is that sets a user's password, what it answers to a new one, and whether that is theirs now."""
    page, new = f"/admin/auth/user/{user.pk}/password/", "a-password-of-somebody-else"
    seen = client.get(page).status_code
    form = {"usable_password": "true", "password1": new, "password2": new, "set-password": "1"}
    posted = client.post(page, form).status_code
    return [seen, posted, User.objects.get(pk=user.pk).check_password(new)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(crawl()))
