"""Which addresses receivers may have, in every spelling."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from upshot.errors import ConfigurationError
from upshot.receivers.addresses import allowed_hosts, literal_address, refused_address, refused_url

NOBODY = allowed_hosts("")
OURS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\uff0e0\uff611",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "167772161",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "192.0.2.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::1]",
    "[2001:db8::1]",
    "[::ffff:0:7f00:1]",
    "[::ffff:224.0.0.1]",
]


@pytest.mark.parametrize("host", OURS)
def test_an_address_that_is_not_public_is_refused_in_every_spelling(host: str) -> None:
    assert refused_url(f"https://{host}/hook", NOBODY) is not None
    literal = literal_address(host)
    assert literal is not None
    assert refused_address(literal, NOBODY) is not None


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "[2606:4700::1111]", "hooks.slack.com", "example.com.", "[::ffff:8.8.8.8]", "1.1"]
)
def test_public_addresses_and_names_are_called(host: str) -> None:
    assert refused_url(f"https://{host}/hook", NOBODY) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://example.com:8443/",
        "https://user:pw@example.com/",
        "https://127.0.0.1@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:///path",
        "https://[::1/",
        "https://example.com:99999/",
        "example.com/hook",
        "https://%31%32%37.0.0.1/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://127.0.0.1\t.example.com/",
        "https://exam ple.com/",
        "\nhttps://example.com/",
        "",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    assert refused_url(url, NOBODY)


def test_the_settings_allow_hosts_ports_and_networks() -> None:
    allowed = allowed_hosts("alerts.internal:9093, 10.1.0.0/16,[fd00::]/8, Localhost,fd12::1")
    assert refused_url("http://alerts.internal:9093/x", allowed) is None
    assert refused_url("http://ALERTS.internal.:9093/x", allowed) is None
    assert refused_url("http://alerts.internal:9094/x", allowed)
    assert refused_url("http://10.1.2.3:80/", allowed) is None
    assert refused_url("http://0x0a010203/", allowed) is None
    assert refused_url("http://[::ffff:10.1.2.3]/", allowed) is None
    assert refused_url("http://10.2.2.3/", allowed)
    assert refused_url("http://localhost:1/", allowed) is None
    assert refused_address(ip_address("fd12::1"), allowed) is None


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "a host", "x/y"])
def test_a_wrong_entry_is_refused_with_a_sentence(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="neither a host nor a network"):
        allowed_hosts(entry)
