"""Addresses of clients."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.client_address import counted_network, nearest_untrusted, parse_address, peer_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:aaaa::/48"))

v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6).filter(lambda address: isinstance(address, IPv6Address) and address.ipv4_mapped is None)


def address(text: str) -> IPv4Address | IPv6Address:
    found = parse_address(text)
    assert found
    return found


@given(v4, st.integers(0, 65535))
def test_every_spelling_of_an_ipv4_address_is_one_address(expected: IPv4Address, port: int) -> None:
    mapped = f"::ffff:{expected}"
    for text in (f"{expected}", f" {expected} ", f"{expected}:{port}", mapped, f"[{mapped}]", f"[{mapped}]:{port}", mapped.upper()):
        assert parse_address(text) == expected, text


@given(v6, st.integers(0, 65535))
def test_every_spelling_of_an_ipv6_address_is_one_address(expected: IPv6Address, port: int) -> None:
    for text in (str(expected), expected.exploded, expected.exploded.upper(), f"[{expected}]", f"[{expected}]:{port}", f"{expected}%eth0"):
        assert parse_address(text) == expected, text


@given(st.text())
def test_any_other_text_is_none(text: str) -> None:
    found = parse_address(text)
    assert found is None or isinstance(found, (IPv4Address, IPv6Address))


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "10.1.1", "10.1.1.1:port", "[10.1.1.1", "::1]", "1" * 100_000, "[]:443"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize("peer", ["10.1.1.1", "::ffff:10.1.1.1", "2001:db8:aaaa::1"])
@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8:0:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("8.8.8.8, 203.0.113.7, ::ffff:10.1.2.3, [2001:db8:aaaa::2]:80", "203.0.113.7"),
        ("1.2.3.4, nonsense, 10.1.2.3:80", "10.1.2.3"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxys(peer: str, forwarded_for: str, expected: str) -> None:
    assert nearest_untrusted(address(peer), forwarded_for, PROXIES) == ip_address(expected)


def test_whoever_is_no_proxy_is_not_believed() -> None:
    assert nearest_untrusted(address("192.0.2.1"), "203.0.113.7", PROXIES) == ip_address("192.0.2.1")
    assert nearest_untrusted(address("10.1.1.1"), "203.0.113.7", ()) == ip_address("10.1.1.1")


def test_limits_count_an_ipv6_network_as_one_client() -> None:
    assert counted_network(address("2001:db8:0:1::1")) == counted_network(address("2001:db8:0:1:ffff::2"))
    assert counted_network(address("2001:db8:0:1::1")) != counted_network(address("2001:db8:0:2::1"))
    assert counted_network(address("203.0.113.7")) != counted_network(address("203.0.113.8"))


def test_the_peer_of_a_call_is_read_as_grpc_writes_it() -> None:
    for peer, expected in (("ipv4:127.0.0.1:1234", "127.0.0.1"), ("ipv6:%5B::1%5D:1234", "::1"), ("ipv6:[::ffff:10.1.1.1]:1", "10.1.1.1")):
        assert peer_address(peer) == ip_address(expected)
    with pytest.raises(ValueError, match="unix"):
        peer_address("unix:/tmp/socket")
