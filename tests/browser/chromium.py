"""Finding a Chromium on this machine, and starting it so that it talks to nobody but the server under test."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

INSTALL = "on Debian: apt-get install chromium; elsewhere name one in CHROMIUM (an empty CHROMIUM means: none)"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    # What a browser asks its maker for by itself would be requests that no page of ours made.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
)


def find() -> str | None:
    """Return the program to start: what ``CHROMIUM`` names, else the first that is installed."""
    named = os.environ.get("CHROMIUM")
    if named is not None:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, ["/usr/bin/chromium", *_NAMES])), None)


def is_demanded() -> bool:
    """Return whether a missing browser is a failure: where nobody looks, nobody reads the reason of a skipped test."""
    return os.environ.get("CI", "").lower() in ("true", "1")


def launch(playwright: Playwright, program: str) -> Browser:
    """Start it, without windows. Its own sandbox cannot be had by root, who runs it in containers."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return playwright.chromium.launch(
        executable_path=program, args=[*_FLAGS, *(["--no-sandbox"] if is_root else [])], timeout=60_000
    )
