"""Signing in with both factors."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.staff import authenticators
from example_project.staff.site import SESSION_LIFE
from tests import factories
from tests.example.staffed import PASSWORD, code_of, is_in, sign_in
from twofa.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staffed")]


@pytest.fixture
def device(boss: User) -> TOTPDevice:
    return authenticators.equip(boss)


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
