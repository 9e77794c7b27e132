from __future__ import annotations

import uuid

import pytest
from django_otp import devices_for_user

from tests.models.violations import copy, tamper, violates
from twofa.models import Authenticator, RecoveryCode
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def active(shop) -> Authenticator:
    return Authenticator.objects.create(
        participant=shop.participant,
        user=shop.participant.user,
        status="active",
        confirmed=True,
        kid="k1",
        secret=b"sealed",
        last_step=1,
        created_at=now(),
        activated_at=now(),
        approves_from=now(),
    )


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"confirmed": False}, "twofa_authenticator_confirmed"),
        ({"status": "pending"}, "twofa_authenticator_confirmed"),
        ({"last_step": None}, "twofa_authenticator_proved"),
        ({"activated_at": None}, "twofa_authenticator_proved"),
        ({"approves_from": None}, "twofa_authenticator_proved"),
        ({"secret": None}, "twofa_authenticator_secret"),
        ({"status": "revoked", "confirmed": False}, "twofa_authenticator_secret"),
    ],
    ids=str,
)
def test_impossible_authenticator_is_refused_by_the_database(active, columns, constraint):
    with violates(constraint):
        tamper(active, **columns)


def test_participant_has_one_active_and_one_pending_app(active):
    with violates("twofa_authenticator_one_active"):
        copy(active, uuid=uuid.uuid4())
    pending = {"status": "pending", "confirmed": False}
    copy(active, uuid=uuid.uuid4(), **pending)
    with violates("twofa_authenticator_one_pending"):
        copy(active, uuid=uuid.uuid4(), **pending)
    for _time in range(2):
        copy(active, uuid=uuid.uuid4(), status="revoked", confirmed=False, secret=None)


def test_django_otp_sees_active_apps_alone(shop, active):
    shop.device.delete()
    copy(active, uuid=uuid.uuid4(), status="pending", confirmed=False)
    assert list(devices_for_user(shop.participant.user)) == [active]
    assert len(list(devices_for_user(shop.participant.user, confirmed=None))) == 2


def test_recovery_code_is_there_once(shop):
    code = RecoveryCode.objects.create(participant=shop.participant, hash=b"x" * 32, created_at=now())
    with violates("twofa_recovery_code_hash"):
        copy(code)
