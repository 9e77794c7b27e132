from __future__ import annotations

import socket
import time

import urllib3

from tests.channels.rawserver import playing
from twofa.channels import deadlines


def test_socket_is_shut_down_when_the_time_is_over():
    ours, theirs = socket.socketpair()
    with ours, theirs, deadlines.within(0.1) as deadline:
        deadline.watch(ours)
        started = time.monotonic()

        assert ours.recv(1) == b""
        assert 0.05 < time.monotonic() - started < 5
        assert deadline.passed
        assert deadlines.is_past()
    assert not deadlines.is_past()


def test_socket_lives_on_after_an_exchange_in_time():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with deadlines.within(0.1) as deadline:
            deadline.watch(ours)
        time.sleep(0.2)
        theirs.sendall(b"x")

        assert ours.recv(1) == b"x"
        assert not deadline.passed


def test_socket_that_is_closed_already_is_nobody_s_trouble():
    ours, theirs = socket.socketpair()
    with deadlines.within(0.05) as deadline:
        deadline.watch(ours)
        ours.close()
        theirs.close()
        time.sleep(0.2)

        assert deadline.passed


def test_pool_without_a_deadline_is_an_ordinary_one():
    with playing([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]) as server:
        pool = deadlines.PoolManager(retries=False)
        answer = pool.request("GET", f"http://127.0.0.1:{server.port}/", timeout=urllib3.Timeout(2))
        pool.clear()

    assert answer.data == b"ok"
