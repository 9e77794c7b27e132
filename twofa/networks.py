"""Where a webhook may go: addresses that anybody on the Internet could reach anyway, by https alone. Pure.

A storefront names a URL, and a server of ours, inside of the operator's network, calls it. Without a law that is a way
to the operator's own machines: the cloud's metadata service, databases, admin pages (OWASP SSRF, case 2; ASVS 1.3.6).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

HTTPS_PORT, HTTP_PORT = 443, 80
# Only what has one reading. Parsers of URLs disagree about the rest (backslashes, userinfo, tabs), and where the one
# that checks reads another host than the one that connects, the check was for nothing.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?\Z"
)
_WRITTEN_PORT = re.compile(r"(?:\[[^]]*\]|[^][:]*):(.*)\Z", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
# The last label of a host that resolvers take for a number: 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1.
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")
_DENIED = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        # Public by its number, and the inside of Azure: its wire server, which machines ask for their settings.
        "168.63.129.16/32",
    )
)  # fmt: skip
# All that is routed is in here. IPv4 in other clothes is not: mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96 and /48).
_ROUTED = IPv6Network("2000::/3")
# In it, but protocols (Teredo, ORCHID), documentation, and 6to4: IPv4 in other clothes.
_DENIED_6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


class Flaw(StrEnum):
    """Which part of a URL is why no webhook may go there."""

    SCHEME = "scheme"
    PORT = "port"
    USER = "user"
    FRAGMENT = "fragment"
    PRIVATE = "private"
    OTHER = "other"


class NoTarget(ValueError):
    """No webhook may go there; ``flaw`` is for whoever typed the URL, and decides nothing."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw)
        self.flaw = flaw


@dataclass(frozen=True)
class Target:
    """Where a request goes: as it was written, and read once."""

    scheme: str
    host: str
    """A name in lower case, or an address; an IPv6 address in its brackets."""
    port: int
    path: str
    """With the query, if there is one."""
    is_private: bool
    """Whether the operator has allowed this host by its name, whatever its addresses are."""


def target_of(url: str, *, private_hosts: Collection[str] = ()) -> Target:
    """Return where ``url`` goes. Raises: NoTarget where a webhook may not go there, whatever its name resolves to.

    Of ``private_hosts`` any port is allowed, and http.
    """
    parts = _URL.match(url)
    if parts is None:
        raise NoTarget(_flaw_of(url))
    host = parts["host"].lower()
    is_private = host.strip("[]") in {name.lower().strip("[]") for name in private_hosts}
    port = int(parts["port"] or (HTTPS_PORT if parts["scheme"] == "https" else HTTP_PORT))
    if not is_private:
        _ensure_public(parts["scheme"], host, port)
    return Target(parts["scheme"], host, port, parts["path"] or "/", is_private)


def is_host(text: str) -> bool:
    """Tell whether a text is the name of a host, or an address, and nothing more."""
    written = f"[{text}]" if ":" in text else text
    parts = _URL.match(f"https://{written}/")
    return parts is not None and parts["host"] == written


def _ensure_public(scheme: str, host: str, port: int) -> None:
    if scheme != "https":
        raise NoTarget(Flaw.SCHEME)
    if port != HTTPS_PORT:
        raise NoTarget(Flaw.PORT)
    is_literal = host.startswith("[") or _NUMBER.match(host.rpartition(".")[2])
    if is_literal and not is_public(host.strip("[]")):
        raise NoTarget(Flaw.PRIVATE)


def _flaw_of(url: str) -> Flaw:
    """Return what is wrong with a URL that has been refused: a guess, for one that parsers disagree about."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("https", "http"):
        return Flaw.SCHEME
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return Flaw.USER
    if "#" in rest:
        return Flaw.FRAGMENT
    written = _WRITTEN_PORT.match(authority)
    return Flaw.PORT if written is not None and not _PORT.match(written[1]) else Flaw.OTHER


def is_public(address: str) -> bool:
    """Tell whether an address is one that anybody on the Internet can reach; what is no address is not.

    Not only by Python's ``is_global``: it calls ``64:ff9b::a9fe:a9fe`` global, which a NAT64 gateway turns into the
    metadata service 169.254.169.254, as well as ``2002:7f00:1::``, 224.0.0.1 and 192.0.0.8 (tried on 3.11).
    """
    try:
        known = ip_address(address)
    except ValueError:
        return False
    return known.is_global and _is_routed(known)


def _is_routed(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED)
    return address in _ROUTED and address.scope_id is None and not any(address in network for network in _DENIED_6)
