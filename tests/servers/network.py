"""Nothing of the suite leaves the machine: a test that would is wrong, and says so."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo


class OutsideNetworkError(RuntimeError):
    """A test reached for another machine."""


def allow_only_loopback() -> None:
    """From here on this process connects, and resolves names, on its own machine only."""
    socket.socket.connect = _guarded_connect  # type: ignore[assignment, method-assign]
    socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = _guarded_getaddrinfo


def allow_all() -> None:
    """Give the process its sockets back."""
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo


def _guarded_connect(self: socket.socket, address: Any) -> None:
    _ensure_local(self.family, address)
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    _ensure_local(self.family, address)
    return _connect_ex(self, address)


def _guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    _ensure_local_host(host)
    return _getaddrinfo(host, *args, **kwargs)


def _ensure_local(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6):
        _ensure_local_host(address[0])


def _ensure_local_host(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost") or name == socket.gethostname():
        return
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    if address is None or not (address.is_loopback or address.is_unspecified):
        raise OutsideNetworkError(f"The test suite tried to reach {name}.")
