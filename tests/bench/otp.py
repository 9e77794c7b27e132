"""django-otp's own e-mail device behind the same two requests: what a well-known second factor costs on this machine.

The least that a host would write around it: no key, no validation, no audit, no budget, and its mail goes nowhere.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django_otp.plugins.otp_email.models import EmailDevice
from rest_framework.request import Request
from rest_framework.response import Response

from tests.bench.floor import INSERT, Bare

_SPEND = "UPDATE bench_floor SET status = 'completed' WHERE id = %s AND status = 'pending'"


def enrol() -> None:
    """Give every user a confirmed device."""
    users = get_user_model().objects.all()
    EmailDevice.objects.bulk_create(EmailDevice(user=user, email="ana@example.com", confirmed=True) for user in users)


def token_of(identifier: str) -> str:
    """Return the token as the one who received the mail would know it."""
    token: str = EmailDevice.objects.get(user__username=identifier.partition("/")[2]).token
    return token


class CheckoutView(Bare):
    def post(self, request: Request) -> Response:
        order: Any = request.data
        device = EmailDevice.objects.get(user__username=order["participant"])
        values = [order["participant"], f"otp-{secrets.token_hex(8)}", order["amount"], order["description"], ""]
        with connection.cursor() as cursor:
            cursor.execute(INSERT, values)
            pk = cursor.fetchone()[0]
        device.generate_challenge()
        # The device is the user's and not the redemption's, so the confirm must be told whose it is.
        return Response({"id": f"{pk}/{order['participant']}", "status": "pending"}, status=201)


class ConfirmView(Bare):
    def post(self, request: Request, pk: int, participant: str) -> Response:
        given: Any = request.data
        with transaction.atomic():
            device = EmailDevice.objects.select_for_update().get(user__username=participant)
            if not device.verify_token(given["token"]):
                return Response({"id": pk, "status": "pending"}, status=422)
        with connection.cursor() as cursor:
            cursor.execute(_SPEND, [pk])
        return Response({"id": pk, "status": "completed"})
