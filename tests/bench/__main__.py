"""``python -m tests.bench``: full flows over HTTP beside a floor of raw SQL, on a PostgreSQL that keeps its promises.

Servers come first, because the settings read their addresses.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

import django

from tests.servers import broker, postgres

SETTINGS = "tests.bench.settings"


def main() -> int:
    """Start the servers, run, and return the exit code."""
    options = _options()
    database = postgres.start(durable=True)
    try:
        queue = broker.start()
        try:
            os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
            os.environ["TWOFA_BENCH_BARE"] = "yes" if options.bare else ""
            os.environ["TWOFA_TEST_DATABASE_URL"] = database.url
            os.environ["TWOFA_TEST_BROKER_URL"] = f"{queue.url}/0"
            django.setup()
            # By name, because its models can be imported only from here on.
            module = "tests.bench.admin" if options.admin else "tests.bench.run"
            code: int = importlib.import_module(module).run(options)
        finally:
            queue.stop()
    finally:
        database.stop()
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side (5)")
    parser.add_argument("--flows", type=int, default=200, help="flows a round (200)")
    parser.add_argument("--threads", type=int, default=4, help="threads of the client (4)")
    parser.add_argument("--bare", action="store_true", help="without middleware, and with connections that stay")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--profile", action="store_true", help="profile flows in one process instead, into var/")
    parser.add_argument("--assert-cpu", type=float, metavar="RATIO", help="end with 1 where CPU per flow is above")
    parser.add_argument("--admin", action="store_true", help="measure the pages of staff instead, on many rows")
    parser.add_argument("--redemptions", type=int, default=100_000, help="rows for --admin (100000; ten events each)")
    parser.add_argument("--assert-ms", type=float, metavar="MS", help="end with 1 where a page of --admin takes longer")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
