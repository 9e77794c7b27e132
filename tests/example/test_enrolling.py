"""Coming by the second factor: by a link and the password, or at a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff import authenticators
from example_project.staff.management.commands import enroll_staff
from tests.example.staffed import PASSWORD, code_of, is_in, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staffed")]


@pytest.fixture
def device(boss: User) -> TOTPDevice:
    return authenticators.equip(boss)


@pytest.fixture
def invitation(boss: User) -> TOTPDevice:
    return authenticators.invite(boss)


def address_of(invitation: TOTPDevice) -> str:
    return reverse("enroll", args=[authenticators.link_token(invitation)])


def proof_in(response: Any) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', response.content.decode())
    assert found
    return found[1]


def test_link_and_password_and_code_enrol_and_lead_to_the_login(client: Client, boss: User, invitation: TOTPDevice):
    address = address_of(invitation)
    assert 'class="qr"' not in client.get(address).content.decode()
    shown = client.post(address, {"password": PASSWORD})
    page = shown.content.decode()
    assert page.count('class="qr"') == page.count('class="qrline"') == 1
    assert TOTPDevice.objects.get().config_url.replace("&", "&amp;") in page

    done = client.post(address, {"code": code_of(invitation), "proof": proof_in(shown)}, follow=True)

    assert done.redirect_chain == [("/admin/login/", 302)]
    assert "Your authenticator is set up" in done.content.decode()
    assert TOTPDevice.objects.get().confirmed
    assert not is_in(client), "the login asks for both, and for a code that was not used"
    assert client.get(address).status_code == 410
    assert sign_in(client, code=code_of(invitation)).status_code == 302


def test_link_alone_and_password_alone_change_nothing(client: Client, boss: User, invitation: TOTPDevice):
    before = TOTPDevice.objects.values().get()
    client.force_login(boss)  # whoever has the password

    assert client.get(address_of(invitation)).status_code == 200
    assert client.get(reverse("enroll", args=["made-up"])).status_code == 410
    assert client.post(reverse("enroll", args=["made-up"]), {"password": PASSWORD}).status_code == 410
    assert TOTPDevice.objects.values().get() == before


def test_secret_is_made_after_the_password(client: Client, invitation: TOTPDevice):
    """So a link that somebody else opened first has told them nothing."""
    early = invitation.key

    first, second = (client.post(address_of(invitation), {"password": PASSWORD}) for _twice in range(2))

    assert TOTPDevice.objects.get().key != early
    assert TOTPDevice.objects.get().config_url.replace("&", "&amp;") not in first.content.decode()
    code = code_of(invitation)
    stale = client.post(address_of(invitation), {"code": code, "proof": proof_in(first)})
    assert "Type your password again" in stale.content.decode()
    assert not TOTPDevice.objects.get().confirmed
    assert client.post(address_of(invitation), {"code": code, "proof": proof_in(second)}).status_code == 302


def test_code_right_after_a_wrong_one_is_told_to_wait_and_then_taken(client: Client, invitation: TOTPDevice):
    address = address_of(invitation)
    proof = proof_in(client.post(address, {"password": PASSWORD}))
    client.post(address, {"code": "000000", "proof": proof})

    early = client.post(address, {"code": code_of(invitation), "proof": proof})

    assert "came too soon after a wrong one. Wait a moment" in early.content.decode()
    assert not TOTPDevice.objects.get().confirmed
    with time_machine.travel(timezone.now() + timedelta(seconds=3)):
        assert client.post(address, {"code": code_of(invitation), "proof": proof}).status_code == 302


def test_code_without_the_password_enrols_nobody(client: Client, boss: User, invitation: TOTPDevice):
    other = authenticators.invite(User.objects.create_superuser("other", password="another"))
    proof = authenticators.begin(other, "another")

    for offered in ("", "made-up", proof):
        client.post(address_of(invitation), {"code": code_of(invitation), "proof": offered})

    assert not TOTPDevice.objects.filter(confirmed=True).exists()


@pytest.mark.parametrize("what", ["password", "code"])
def test_five_wrong_ones_end_the_link(client: Client, invitation: TOTPDevice, what: str):
    address = address_of(invitation)
    proof = proof_in(client.post(address, {"password": PASSWORD}))
    body = {"password": "wrong"} if what == "password" else {"code": "000000", "proof": proof}
    for _wrong in range(authenticators.MAX_FAILURES):
        assert client.post(address, body).status_code == 200
        TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=90))

    assert client.post(address, {"password": PASSWORD}).status_code == 410
    assert client.post(address, {"code": code_of(invitation), "proof": proof}).status_code == 410
    assert not TOTPDevice.objects.get().confirmed


@pytest.mark.parametrize(
    "end",
    [
        lambda user: authenticators.invite(user),
        lambda user: User.objects.update(is_staff=False),
        lambda user: User.objects.update(is_active=False),
        lambda user: user.delete(),
    ],
    ids=["newer link", "no staff any more", "not active", "gone"],
)
def test_link_that_is_over_shows_nothing(
    client: Client, boss: User, invitation: TOTPDevice, end: Callable[[User], object]
):
    address = address_of(invitation)

    end(boss)

    response = client.post(address, {"password": PASSWORD})
    assert response.status_code == 410
    assert "This link is over" in response.content.decode()
    assert 'class="qr"' not in response.content.decode()


def test_link_and_proof_grow_old(client: Client, invitation: TOTPDevice):
    address = address_of(invitation)
    proof = proof_in(client.post(address, {"password": PASSWORD}))

    with time_machine.travel(timezone.now() + authenticators.PROOF_LIFE + timedelta(seconds=1)):
        late = client.post(address, {"code": code_of(invitation), "proof": proof})
        assert "Type your password again" in late.content.decode()
    with time_machine.travel(timezone.now() + authenticators.LINK_LIFE + timedelta(seconds=1)):
        assert client.get(address).status_code == 410
    assert not TOTPDevice.objects.get().confirmed


def test_new_authenticator_takes_the_place_of_the_lost_one(client: Client, boss: User, device: TOTPDevice):
    sign_in(client, code=code_of(device))
    invitation = authenticators.invite(boss)
    assert is_in(client), "an invitation alone takes nothing away"
    elsewhere = Client()
    proof = proof_in(elsewhere.post(address_of(invitation), {"password": PASSWORD}))

    elsewhere.post(address_of(invitation), {"code": code_of(invitation), "proof": proof})

    assert [row.pk for row in TOTPDevice.objects.all()] == [invitation.pk]
    assert not is_in(client), "and whoever holds the lost one is out"


def test_page_of_an_invitation_is_kept_nowhere(client: Client, invitation: TOTPDevice):
    response = client.post(address_of(invitation), {"password": PASSWORD})

    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "strict-origin"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\r\nX: y"])
def test_name_of_a_user_stays_text(client: Client, name: str):
    invitation = authenticators.invite(User.objects.create_user(name, password=PASSWORD, is_staff=True))

    page = client.post(address_of(invitation), {"password": PASSWORD}).content.decode()

    assert "<script>alert" not in page
    assert "<img src=x" not in page


# --- the command -----------------------------------------------------------------------------------------------------


def enroll(*words: str) -> str:
    out = StringIO()
    call_command(enroll_staff.Command(), *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_terminal_shows_a_code_to_scan_and_confirms_it(boss: User, client: Client, monkeypatch: pytest.MonkeyPatch):
    typed = iter(["000000", "the code"])

    def answer(prompt: str) -> str:
        code = next(typed)
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
        return (
            f"{code_of(TOTPDevice.objects.get())[:3]} {code_of(TOTPDevice.objects.get())[3:]}" if " " in code else code
        )

    monkeypatch.setattr("builtins.input", answer)

    told = enroll("boss")

    device = TOTPDevice.objects.get()
    assert device.confirmed
    assert device.config_url in told
    assert "▀" in told
    assert "Set up." in told
    assert sign_in(client, code=code_of(device)).status_code == 302


def test_terminal_without_a_code_sets_nothing_up(boss: User, monkeypatch: pytest.MonkeyPatch):
    def end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    with pytest.raises(CommandError, match="no code was given"):
        enroll("boss")
    monkeypatch.setattr("builtins.input", lambda prompt: "000000")
    with pytest.raises(CommandError, match="too many wrong codes"):
        enroll("boss")
    assert not TOTPDevice.objects.filter(confirmed=True).exists()


def test_link_of_the_command_is_that_of_the_page(boss: User, client: Client):
    link = enroll("boss", "--link", "https://points.example.com").strip()

    assert link.startswith("https://points.example.com/staff/enroll/")
    assert client.get(link.removeprefix("https://points.example.com")).status_code == 200


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}, {"username": "other"}])
def test_command_enrolls_active_staff_alone(boss: User, change: dict[str, Any]):
    User.objects.update(**change)

    with pytest.raises(CommandError, match="no active member of staff"):
        enroll("boss")
    assert not TOTPDevice.objects.exists()
