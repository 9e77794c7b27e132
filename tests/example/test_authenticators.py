"""Signing in with both factors, and coming by the second."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff import authenticators
from example_project.staff.site import SESSION_LIFE
from tests import factories
from tests.example.blocks import ROOT
from twofa.models import Delivery

pytestmark = pytest.mark.django_db

PASSWORD = "a password of the tests"
MIDDLEWARE = "django.contrib.auth.middleware.AuthenticationMiddleware"


@pytest.fixture(autouse=True)
def host(settings: Any) -> None:
    """A host whose admin is the example's."""
    settings.ROOT_URLCONF = "tests.example.staffed"
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    place = settings.MIDDLEWARE.index(MIDDLEWARE) + 1
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:place],
        "django_otp.middleware.OTPMiddleware",
        *settings.MIDDLEWARE[place:],
    ]


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


@pytest.fixture
def device(boss: User) -> TOTPDevice:
    return authenticators.equip(boss)


def code_of(device: TOTPDevice) -> str:
    device.refresh_from_db()
    return authenticators.current_code(device)[0]


def sign_in(client: Client, **fields: str) -> Any:
    return client.post("/admin/login/?next=/admin/", {"username": "boss", "password": PASSWORD, **fields})


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


# --- signing in ------------------------------------------------------------------------------------------------------


def test_password_and_code_open_the_admin_for_a_working_day(client: Client, device: TOTPDevice):
    response = sign_in(client, code=code_of(device))

    assert response.status_code == 302
    assert response["Location"] == "/admin/"
    assert is_in(client)
    assert client.session.get_expiry_age() == SESSION_LIFE.total_seconds()


@pytest.mark.parametrize("spelled", ["{0} {1}", " {0}{1} ", "{0}\u00a0{1}"])
def test_code_may_be_typed_in_groups(client: Client, device: TOTPDevice, spelled: str):
    code = code_of(device)

    assert sign_in(client, code=spelled.format(code[:3], code[3:])).status_code == 302


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"code": ""},
        {"code": "000000x"},
        {"code": "٠١٢٣٤٥"},
        {"code": "-12345"},
        {"code": "1_2_34"},
        {"password": ""},
        {"password": "wrong"},
        {"username": ""},
        {"username": "nobody"},
    ],
    ids=str,
)
def test_without_all_three_nobody_gets_in(client: Client, device: TOTPDevice, fields: dict[str, str]):
    given = {"code": code_of(device), **fields} if fields else {}

    response = sign_in(client, **given)

    assert response.status_code == 200
    assert not is_in(client)
    assert "_auth_user_id" not in client.session
    assert PASSWORD not in response.content.decode(), "a password never comes back in a page"
    assert TOTPDevice.objects.get().throttling_failure_count == 0, "nothing was compared"


def test_wrong_password_and_wrong_code_are_one_refusal(client: Client, device: TOTPDevice):
    """Else whoever guesses passwords is told when one was right."""
    wrong_code = sign_in(client, code="000000").content.decode()
    wrong_password = sign_in(client, code="000000", password="wrong").content.decode()

    assert errors_of(wrong_code) == errors_of(wrong_password) != []
    assert not is_in(client)


def errors_of(page: str) -> list[str]:
    return re.findall(r'<p class="errornote"[^>]*>\s*(.*?)\s*</p>', page, re.DOTALL)


def test_code_works_once(client: Client, device: TOTPDevice):
    code = code_of(device)
    sign_in(client, code=code)

    again = Client()

    assert sign_in(again, code=code).status_code == 200
    assert not is_in(again)


def test_wrong_codes_make_the_right_one_wait(client: Client, device: TOTPDevice):
    for _wrong in range(3):
        sign_in(client, code="000000")
        TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=60))
    sign_in(client, code="000000")
    assert TOTPDevice.objects.get().throttling_failure_count == 4

    assert sign_in(client, code=code_of(device)).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(seconds=60)):
        assert sign_in(client, code=code_of(device)).status_code == 302


def test_wrong_passwords_lock_nobody_out(client: Client, device: TOTPDevice):
    for _wrong in range(10):
        sign_in(client, code="000000", password="wrong")

    assert sign_in(client, code=code_of(device)).status_code == 302


def test_code_of_a_colleague_opens_nothing(client: Client, device: TOTPDevice):
    other = authenticators.equip(User.objects.create_superuser("other", password=PASSWORD))

    assert sign_in(client, code=code_of(other)).status_code == 200
    assert not is_in(client)


def test_unconfirmed_authenticator_opens_nothing(client: Client, boss: User):
    invitation = authenticators.invite(boss)

    assert sign_in(client, code=code_of(invitation)).status_code == 200
    assert not is_in(client)


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_user_who_is_no_active_staff_does_not_get_in(client: Client, device: TOTPDevice, change: dict[str, bool]):
    User.objects.update(**change)

    assert sign_in(client, code=code_of(device)).status_code == 200
    assert not is_in(client)


def test_phone_that_a_storefront_registered_opens_nothing(client: Client, boss: User, device: TOTPDevice):
    """It is a device of django-otp too, of a user who is staff and takes part in a campaign."""
    shop = factories.Shop()
    shop.device.user = boss
    shop.device.save()
    client.force_login(boss)
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = shop.device.persistent_id
    session.save()

    assert not is_in(client)
    sent = Delivery.objects.count()
    sign_in(client, otp_device=shop.device.persistent_id, otp_challenge="1", code="000000")
    assert Delivery.objects.count() == sent, "and the login sends no messages"


def test_authenticator_that_is_removed_ends_its_sessions(client: Client, device: TOTPDevice):
    sign_in(client, code=code_of(device))
    assert is_in(client)

    device.delete()

    assert not is_in(client)


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_login_leads_to_no_other_host(client: Client, device: TOTPDevice, elsewhere: str):
    fields = {"username": "boss", "password": PASSWORD, "code": code_of(device), "next": elsewhere}

    response = client.post(f"/admin/login/?next={elsewhere}", fields)

    assert response.status_code == 302
    assert "evil" not in response["Location"]
    assert "javascript" not in response["Location"]


# --- enrolling -------------------------------------------------------------------------------------------------------


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
    assert response["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\r\nX: y"])
def test_name_of_a_user_stays_text(client: Client, name: str):
    invitation = authenticators.invite(User.objects.create_user(name, password=PASSWORD, is_staff=True))

    page = client.post(address_of(invitation), {"password": PASSWORD}).content.decode()

    assert "<script>alert" not in page
    assert "<img src=x" not in page
