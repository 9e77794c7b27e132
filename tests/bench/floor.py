"""The floor: the least that a checkout and a confirm can be with Django, DRF and PostgreSQL.

No key is asked for, nothing is validated, sent, audited or sealed, and the token stands in clear in its row. One
INSERT; one UPDATE ... RETURNING that compares and charges, and one UPDATE that spends. It is no product: it is what a
request costs before a product begins.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

TABLE = """
CREATE TABLE bench_floor (
    id bigserial PRIMARY KEY,
    participant text NOT NULL,
    order_id text NOT NULL UNIQUE,
    amount numeric(14, 2) NOT NULL,
    description text NOT NULL,
    token text NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now()
)"""

INSERT = """
INSERT INTO bench_floor (participant, order_id, amount, description, token)
VALUES (%s, %s, %s, %s, %s) RETURNING id"""
_JUDGE = """
UPDATE bench_floor
SET attempts = attempts + 1, status = CASE WHEN token = %s THEN 'approved' ELSE status END
WHERE id = %s AND status = 'pending' AND attempts < 5 AND created_at > now() - interval '10 minutes'
RETURNING status, attempts"""
_SPEND = "UPDATE bench_floor SET status = 'completed' WHERE id = %s AND status = 'approved'"


def create_table() -> None:
    """Create the floor's one table."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE)


def token_of(pk: int) -> str:
    """Return a row's token, as the one who received the message would know it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM bench_floor WHERE id = %s", [pk])
        token: str = cursor.fetchone()[0]
    return token


class Bare(APIView):
    """A view that asks nobody who they are."""

    authentication_classes = []
    permission_classes = []


class CheckoutView(Bare):
    def post(self, request: Request) -> Response:
        order: Any = request.data
        values = [order["participant"], order["order_id"], order["amount"], order["description"]]
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [*values, f"{secrets.randbelow(10**6):06}"])
            pk = cursor.fetchone()[0]
        return Response({"id": pk, "order_id": order["order_id"], "status": "pending"}, status=201)


class ConfirmView(Bare):
    def post(self, request: Request, pk: int) -> Response:
        given: Any = request.data
        with connection.cursor() as cursor:
            cursor.execute(_JUDGE, [given["token"], pk])
            row = cursor.fetchone()
            if row is None:
                return Response({"id": pk, "status": "closed"}, status=409)
            status, attempts = row
            if status != "approved":
                return Response({"id": pk, "status": status, "attempts_remaining": 5 - attempts}, status=422)
            cursor.execute(_SPEND, [pk])
        return Response({"id": pk, "status": "completed"})
