"""The run: seed, warm up, rounds of floor, reference and ours by turns, the worker, the figures."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import sys
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

from tests.bench import figures, floor, inprocess, load, otp, profiling, server, worker
from tests.bench.seed import Seeded, seed
from tests.servers.process import Scratch

SIDES = ("floor", "django-otp", "ours")
BACKLOG = 200
SINGLES = 50
WARM_UP = 60
_FLOWS_PER_PARTICIPANT = 5
_WARM_IN_PROCESS = 20


def run(options: Namespace) -> int:
    """Run the bench, print its figures, and return the exit code."""
    machine = figures.machine()
    call_command("migrate", verbosity=0)
    floor.create_table()
    seeded = seed(max(50, options.flows * (options.rounds + 1) // _FLOWS_PER_PARTICIPANT))
    otp.enrol()
    numbers = itertools.count(10_000_000)
    if options.profile:
        return _profile(seeded, options.flows, numbers)
    counted = _statements(seeded, numbers)
    with _scratch() as logs:
        sides = _rounds(options, seeded, logs)
        tell("one Celery worker: a backlog, then one token at a time")
        open_redemption = partial(_open, seeded, numbers)
        sending = worker.measure(logs / "worker.log", open_redemption, backlog=BACKLOG, singles=SINGLES)
    for name in SIDES:
        sides[name].statements = {kind: len(executed) for kind, executed in counted[name].items()}
    compared = figures.compare(sides)
    return _conclude(options, machine, compared, sending)


def tell(line: str) -> None:
    """Say how far it is: beside the figures, not among them."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _rounds(options: Namespace, seeded: Seeded, logs: Path) -> dict[str, figures.Contestant]:
    """Run floor, reference and ours by turns, so that whatever else the machine does meets all."""
    web = server.start(logs / "gunicorn.log")
    sides = {name: figures.Contestant() for name in SIDES}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=django.setup) as client:

        def play(name: str, first: int, flows: int) -> tuple[load.Times, float]:
            work = load.Round(name, web.port, seeded, first, flows, options.threads)
            before = web.cpu_seconds()
            times = client.submit(load.run, work).result()
            return times, web.cpu_seconds() - before

        tell(f"warming up ({WARM_UP} flows each)")
        for name in SIDES:
            play(name, 0, WARM_UP)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        for number in range(1, options.rounds + 1):
            for name in SIDES:
                times, cpu = play(name, number * 100_000, options.flows)
                sides[name].add(times, cpu)
                rate, cost = len(times.flows) / times.wall, 1000 * cpu / len(times.flows)
                tell(f"round {number}/{options.rounds} {name:10} {rate:6.1f} flows/s, {cost:5.2f} ms of CPU a flow")
    web.child.stop()
    return sides


def _statements(seeded: Seeded, numbers: Iterator[int]) -> dict[str, dict[str, list[str]]]:
    """Count each request's statements once, after a first flow that meets everything cold (a key's first use)."""
    counted = {}
    for name in SIDES:
        contestant = load.side(name, seeded)
        inprocess.statements(contestant, seeded, next(numbers))
        counted[name] = inprocess.statements(contestant, seeded, next(numbers))
    return counted


def _open(seeded: Seeded, numbers: Iterator[int]) -> None:
    contestant = load.side("ours", seeded)
    inprocess.post(contestant, contestant.checkout_path, load.order(seeded, next(numbers)))


def _profile(seeded: Seeded, flows: int, numbers: Iterator[int]) -> int:
    directory = Path(__file__).parents[2] / "var"
    directory.mkdir(exist_ok=True)
    for name in SIDES:
        contestant = load.side(name, seeded)
        for _ in range(_WARM_IN_PROCESS):
            inprocess.statements(contestant, seeded, next(numbers))
        path = directory / f"bench-profile-{name}.txt"
        tell(f"profiling {flows} flows of {name}")
        print(f"{name}: {profiling.profile(contestant, seeded, next(numbers) + 1_000_000, flows, path)}\n-> {path}\n")
    return 0


def _conclude(
    options: Namespace, machine: dict[str, Any], compared: dict[str, dict[str, float]], sending: worker.Sending
) -> int:
    hand_off = {
        "tokens/s through one worker": sending.tokens_per_second,
        "commit to hand-off p50 ms": 1000 * figures.percentile(sending.waits, 50),
        "commit to hand-off p99 ms": 1000 * figures.percentile(sending.waits, 99),
    }
    if options.json:
        print(json.dumps({"machine": machine, "flows": compared, "delivery": hand_off}, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in machine.items()))
        print(f"{options.rounds} rounds of {options.flows} flows each, {options.threads} client threads\n")
        print(figures.table(compared))
        print("\n" + "\n".join(f"{name:34}{value:10.1f}" for name, value in hand_off.items()))
    ratio = compared["CPU ms/flow"]["ours ratio"]
    if options.assert_cpu is not None and ratio > options.assert_cpu:
        tell(f"CPU per flow is {ratio:.2f} times the floor, more than {options.assert_cpu:g}")
        return 1
    return 0


@contextmanager
def _scratch() -> Iterator[Path]:
    scratch = Scratch()
    try:
        yield scratch.path
    finally:
        scratch.remove()
