"""Where the processor's time goes: cProfile over flows in this process, by function and by layer.

cProfile makes each Python call dearer and leaves calls into C as they are: read it for where to look, and the bench
itself for how much it is.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench import inprocess
from tests.bench.load import Side, order
from tests.bench.seed import Seeded

_SHOWN = 70
_LAYERS = (
    ("django_otp", "django-otp"),
    ("django/db/models", "Django ORM"),
    ("django/db", "Django database backend"),
    ("django/", "Django, the rest"),
    ("rest_framework", "DRF"),
    ("psycopg", "psycopg"),
    ("celery", "Celery"),
    ("kombu", "Kombu"),
    ("amqp", "Kombu"),
    ("vine", "Kombu"),
    ("redis", "redis-py"),
    ("twofa/api", "twofa.api"),
    ("twofa/flows", "twofa.flows"),
    ("twofa/models", "twofa.models"),
    ("twofa/", "twofa, the rest"),
    ("tests/bench/floor", "the floor's views"),
)


def profile(contestant: Side, seeded: Seeded, first: int, flows: int, path: Path) -> str:
    """Profile ``flows`` flows, write the whole to ``path``, and return the shares of the layers."""
    tokens = {}
    for number in range(first, first + flows):
        pk = inprocess.post(contestant, contestant.checkout_path, order(seeded, number))["id"]
        tokens[pk] = contestant.token_of(pk)
    # Its own clock would count waiting for the disk as work.
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    for number in range(first + flows, first + 2 * flows):
        inprocess.flow(contestant, seeded, number, tokens)
    profiler.disable()
    shares = _layers(profiler, flows)
    with path.open("w") as out:
        out.write(f"{shares}\n")
        for key in ("tottime", "cumulative"):
            pstats.Stats(profiler, stream=out).strip_dirs().sort_stats(key).print_stats(_SHOWN)
        pstats.Stats(profiler, stream=out).sort_stats("tottime").print_callers(_SHOWN // 2)
    return shares


def _layers(profiler: cProfile.Profile, flows: int) -> str:
    """Add own times up by layer; what is written in C counts for the layer that called it."""
    stats: dict[Any, Any] = vars(pstats.Stats(profiler, stream=io.StringIO()))["stats"]
    seconds: Counter[str] = Counter()
    for (filename, _line, _name), (_calls, _primitive, own, _cumulative, callers) in stats.items():
        if filename != "~":
            seconds[_layer(filename)] += own
            continue
        for (caller, _caller_line, _caller_name), (_n, _p, own_there, _c) in callers.items():
            seconds[_layer(caller)] += own_there
    total = sum(seconds.values())
    lines = [f"{1000 * total / flows:6.2f} ms of CPU a flow under cProfile, of which:"]
    for layer, own in seconds.most_common():
        lines.append(f"{1000 * own / flows:6.2f} ms {100 * own / total:5.1f} %  {layer}")
    return "\n".join(lines)


def _layer(filename: str) -> str:
    inside = filename.replace("\\", "/").rpartition("site-packages/")[2]
    for part, layer in _LAYERS:
        if inside.startswith(part) or (inside == filename and f"/{part}" in filename):
            return layer
    return "standard library and others"
