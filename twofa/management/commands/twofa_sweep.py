"""Run the sweeper: once, or every few seconds where no Celery beat does."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from twofa.flows import sweeps


class Command(BaseCommand):
    help = "Send, expire, complete and release whatever is due."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=float, metavar="SECONDS", help="Go on, pausing so long between sweeps, until interrupted."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        every = options["every"]
        if not every:
            self._sweep()
            return
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_received: stopped.set())
        self.stdout.write(_("Sweeping every %(seconds)g seconds. Stop with Ctrl-C.") % {"seconds": every})
        while not stopped.is_set():
            self._sweep()
            stopped.wait(every)

    def _sweep(self) -> None:
        counts = sweeps.sweep()
        if any(counts.values()):
            self.stdout.write(", ".join(f"{step}: {count}" for step, count in counts.items() if count))
