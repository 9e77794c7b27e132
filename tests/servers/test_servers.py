"""The suite's own servers: what the other tests stand on."""

from __future__ import annotations

import os
import smtplib
import socket

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from tests.celery import app
from tests.servers import plugin
from tests.servers.network import OutsideNetworkError
from tests.servers.process import free_port
from tests.statements import record_statements


@pytest.mark.django_db(transaction=True)
def test_worker_process_answers_until_it_is_killed(celery_worker_process):
    worker = celery_worker_process()
    assert app.control.inspect(timeout=1).ping()

    worker.kill()

    assert not worker.alive
    assert app.control.inspect(timeout=0.2).ping() is None


def test_processes_of_one_run_have_queues_of_their_own():
    taken: list[str] = []
    for worker in (None, "gw0", "gw1"):
        with pytest.MonkeyPatch.context() as process:
            process.setenv("TWOFA_TEST_BROKER_URL", taken[0] if taken else "redis://127.0.0.1:6379")
            plugin._take_broker_database(worker)
            taken.append(os.environ["TWOFA_TEST_BROKER_URL"])
    assert taken == [f"redis://127.0.0.1:6379/{number}" for number in (0, 1, 2)]


def test_smtp_server_keeps_what_it_takes_and_refuses_when_told(smtp_server):
    with smtplib.SMTP(smtp_server.host, smtp_server.port) as client:
        client.sendmail("a@example.org", ["b@example.org"], "Subject: points\r\n\r\nyours\r\n")
        smtp_server.refuse_next("451 later")
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@example.org", ["b@example.org"], "Subject: more\r\n\r\nyours\r\n")

    assert [message["subject"] for message in smtp_server.messages] == ["points"]


@pytest.mark.parametrize("host", ["192.0.2.1", "provider.example"])
def test_other_machines_cannot_be_reached(host):
    with pytest.raises(OutsideNetworkError):
        socket.create_connection((host, 443), timeout=1)


def test_own_machine_can_be_reached():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("localhost", free_port()), timeout=1)


@pytest.mark.django_db(transaction=True)
def test_threads_start_together_and_give_results_in_order(threads):
    users = get_user_model().objects
    users.create(username="u-1")

    outcomes = threads([lambda: users.filter(username="u-1").update(last_name="x"), lambda: users.get(username="none")])

    assert outcomes[0] == 1
    assert isinstance(outcomes[1], get_user_model().DoesNotExist)


@pytest.mark.django_db
def test_transaction_control_and_tables_left_out_are_not_counted():
    with record_statements(without=("auth_group",)) as statements, connection.cursor() as cursor:
        cursor.execute("SAVEPOINT a")
        cursor.execute("RELEASE SAVEPOINT a")
        cursor.execute('SELECT COUNT(*) FROM "auth_group"')
        cursor.execute("SELECT 1")

    assert statements.counted == ["SELECT 1"]
