"""Where webhooks may go: a corpus of addresses and of ways to write one."""

from __future__ import annotations

import pytest

from twofa import networks

PUBLIC = ["8.8.8.8", "1.1.1.1", "200.160.2.3", "2001:4860:4860::8888", "2606:4700::1111", "2804:14c::1"]
NOT_PUBLIC = [
    # unspecified, private, carrier-grade NAT, loopback, link-local (metadata of clouds)
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    # protocol assignments, documentation, 6to4 relays, benchmarks, multicast, reserved, broadcast
    "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # the same of IPv6
    "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1",
    "100::1", "5f00::1", "2001:2::1", "2001:20::1",
    # IPv4 in other clothes: mapped, compatible, translated, NAT64, 6to4, Teredo
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:0:7f00:1::",
    # the inside of Azure, by a public number
    "168.63.129.16",
    # no addresses
    "", "localhost", "example.org", "0x7f.1", "2130706433", "127.1", "0177.0.0.1", "127.0.0.1.", " 127.0.0.1",
]  # fmt: skip
REFUSED = [
    "http://shop.example/", "ftp://shop.example/", "//shop.example/", "shop.example", "https:/shop.example", "https://",
    "HTTPS://shop.example/", "https://shop.example:8443/", "https://shop.example:80/", "https://shop.example:0443/",
    "https://shop.example:99999/", "https://shop.example:/",
    # userinfo, fragments, and what parsers disagree about
    "https://user@shop.example/", "https://user:pass@shop.example/", "https://shop.example@127.0.0.1/",
    "https://shop.example#@127.0.0.1/", "https://shop.example/#part", "https://shop.example\\@127.0.0.1/",
    "https://127.0.0.1\\.shop.example/", "https:///127.0.0.1/", "https://shop.example /",
    "https://shop.example/\r\nHost: x",
    "https://shop.example/\x00", "https://shop.example/a b", "https://shop.example/ação", "https://bücher.example/",
    "https://shop.example?x=1", "https://shop%2eexample/", "https://.shop.example/", "https://shop.example./",
    "https://-shop.example/", "\thttps://shop.example/", "https://shop.example/\n",
    # addresses, in all spellings that resolvers take
    "https://127.0.0.1/", "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/", "https://0/", "https://127.0.0.0x1/",
    "https://169.254.169.254/latest/meta-data/", "https://0xA9FEA9FE/", "https://10.0.0.1/", "https://8.8.8.8.8/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/", "https://[fe80::1%25eth0]/", "https://[fd00:ec2::254]/",
    "https://[0:0:0:0:0:0:0:1]/", "https://[:::]/", "https://[8.8.8.8]/.",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_public(address: str):
    assert networks.is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_any_other_address_is_not(address: str):
    assert not networks.is_public(address)


@pytest.mark.parametrize("url", REFUSED)
def test_url_that_no_webhook_may_go_to_is_refused(url: str):
    with pytest.raises(ValueError):
        networks.target_of(url)


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("", "scheme"),
        ("shop.example/hooks", "scheme"),
        ("http://shop.example/", "scheme"),
        ("HTTPS://shop.example/", "scheme"),
        ("ftp://shop.example/", "scheme"),
        ("http://localhost:8000/hooks", "scheme"),
        ("https://shop.example:8443/", "port"),
        ("https://shop.example:0443/", "port"),
        ("https://shop.example:/", "port"),
        ("https://[2606:4700::1111]:x/", "port"),
        ("https://user:pass@shop.example/", "user"),
        ("https://user@127.0.0.1:8000/", "user"),
        ("https://shop.example/#part", "fragment"),
        ("https://shop.example#@127.0.0.1/", "fragment"),
        ("https://127.0.0.1/", "private"),
        ("https://2130706433/", "private"),
        ("https://[fd00:ec2::254]/", "private"),
        ("https://shop.example/a b", "other"),
        ("https://bücher.example/", "other"),
        ("https://shop.example?x=1", "other"),
        ("https://[::1", "other"),
    ],
)
def test_refusal_names_the_part_that_is_wrong(url: str, flaw: str):
    with pytest.raises(networks.NoTarget) as refusal:
        networks.target_of(url)
    assert refusal.value.flaw == flaw


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://shop.example", "shop.example", "/"),
        ("https://Shop.Example:443/hooks/a?b=c%20d&e=/f", "shop.example", "/hooks/a?b=c%20d&e=/f"),
        ("https://8.8.8.8/x", "8.8.8.8", "/x"),
        ("https://[2606:4700::1111]/x", "[2606:4700::1111]", "/x"),
        ("https://127.0.0.1.shop.example/", "127.0.0.1.shop.example", "/"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
    ],
)
def test_target_is_read_as_it_was_written(url: str, host: str, path: str):
    assert networks.target_of(url) == networks.Target("https", host, 443, path, is_private=False)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://backend:8000/hooks", 8000),
        ("http://BACKEND/hooks", 80),
        ("https://backend/hooks", 443),
        ("http://[::1]:9/hooks", 9),
    ],
)
def test_private_host_may_be_called_over_http_and_at_any_port(url: str, port: int):
    target = networks.target_of(url, private_hosts={"Backend", "::1"})
    assert (target.port, target.path, target.is_private) == (port, "/hooks", True)


@pytest.mark.parametrize("url", ["http://other/", "http://backend.example/", "http://user@backend/", "ftp://backend/"])
def test_private_host_allows_no_other(url: str):
    with pytest.raises(ValueError):
        networks.target_of(url, private_hosts={"backend"})
