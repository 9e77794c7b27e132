"""From times to figures: medians over the rounds, percentiles over all requests, each beside the floor."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import django
import rest_framework

from tests.bench.load import Times

KINDS = ("checkout", "wrong confirm", "right confirm")


@dataclass
class Contestant:
    """What the rounds of one side gave."""

    rounds: list[Times] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of the server's processors a flow, by round."""
    statements: dict[str, int] = field(default_factory=dict)

    def add(self, times: Times, cpu_seconds: float) -> None:
        """Take one round."""
        self.rounds.append(times)
        self.cpu.append(cpu_seconds / len(times.flows))

    def figures(self) -> dict[str, float]:
        """Return the figures by name; times in milliseconds."""
        flows = [seconds for times in self.rounds for seconds in times.flows]
        figures = {
            "flows/s": statistics.median(len(times.flows) / times.wall for times in self.rounds),
            "CPU ms/flow": 1000 * statistics.median(self.cpu),
            "flow p50 ms": 1000 * percentile(flows, 50),
            "flow p99 ms": 1000 * percentile(flows, 99),
        }
        for kind in KINDS:
            seconds = [each for times in self.rounds for each in times.requests.get(kind, [])]
            figures[f"{kind} p50 ms"] = 1000 * percentile(seconds, 50)
            figures[f"{kind} p99 ms"] = 1000 * percentile(seconds, 99)
        figures |= {f"{kind} SQL": self.statements[kind] for kind in KINDS}
        return figures


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that ``percent`` of a hundred stay below."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def compare(sides: dict[str, Contestant]) -> dict[str, dict[str, float]]:
    """Return each figure of each side, and its ratio to the floor's."""
    figures = {name: side.figures() for name, side in sides.items()}
    return {
        name: {
            **{side: each[name] for side, each in figures.items()},
            **{f"{side} ratio": each[name] / least for side, each in figures.items() if side != "floor"},
        }
        for name, least in figures["floor"].items()
    }


def table(compared: dict[str, dict[str, float]]) -> str:
    """Return the comparison for reading."""
    lines = [f"{'':24}{'floor':>10}{'django-otp':>12}{'ratio':>8}{'ours':>10}{'ratio':>8}"]
    for name, row in compared.items():
        digits = 0 if name.endswith("SQL") else 1
        lines.append(
            f"{name:24}{row['floor']:10.{digits}f}{row['django-otp']:12.{digits}f}{row['django-otp ratio']:8.2f}"
            f"{row['ours']:10.{digits}f}{row['ours ratio']:8.2f}"
        )
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    return {
        "processors": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "django": django.__version__,
        "rest_framework": rest_framework.VERSION,
    }
