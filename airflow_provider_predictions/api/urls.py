"""Check URLs and hosts: which are valid, which are private, and which may get credentials."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import inet_aton
from urllib.parse import SplitResult, urlsplit

import httpx

from airflow_provider_predictions.api.limits import MAX_HOST_LENGTH, MAX_URL_LENGTH

_NAME = re.compile(r"[a-z0-9_.-]+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PUBLIC_V6 = ip_network("2000::/3")
"""All public addresses are in it (IANA, IPv6 Address Space). NAT64 and IPv4-compatible ones are not."""
_SPECIAL = (ip_network("2002::/16"), ip_network("192.0.0.0/24"))
"""6to4, which holds any IPv4 address, and IETF protocol assignments: Python calls both global."""
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def split_url(url: str) -> SplitResult:
    """Split a URL from an untrusted source.

    :raises ValueError: if it is not a URL, or too long.
    """
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"is longer than {MAX_URL_LENGTH} characters")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL; check its host and port") from None
    return parts


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def require_host(url: str) -> None:
    """Refuse a host that no name server can know. A socket would refuse it only when it is opened.

    :raises ValueError: if a label is empty, too long or not valid in IDNA, if the name is too long, or if it
        ends in a number and is not an address (URL Standard, section 3.5).
    """
    try:
        parts = httpx.URL(url)
        _ = parts.host  # raises if it cannot be decoded
    except httpx.InvalidURL:
        raise ValueError("the host is not valid in IDNA") from None
    host = parts.raw_host.decode()
    host.encode("idna")
    name = host.removesuffix(".").lower()
    if len(name) > MAX_HOST_LENGTH:
        raise ValueError("the host is too long")
    if ":" in name:
        return
    if not _NAME.fullmatch(name):
        raise ValueError("the host holds what no name does")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        with suppress(OSError):
            inet_aton(name)
            return
        raise ValueError("the host is not an address")


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL (RFC 6454, section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def is_private_url(url: str) -> bool:
    """Whether a URL names an address of this machine or of its network, in any notation.

    It looks at the host that the HTTP library connects to. So does an address that leads to an IPv4 address
    through a tunnel or a translation. Host names are not resolved. Of these, only ``localhost`` is private.

    :raises httpx.InvalidURL: if it is no URL.
    """
    # httpx turns other dots into ASCII (U+3002, U+FF0E and U+FF61), urlsplit does not.
    host = httpx.URL(url).raw_host.decode().lower().rstrip(".")
    try:
        address = _address(host) or ip_address(inet_aton(host))  # also reads 127.1, 2130706433 and 0x7f000001
    except OSError:
        return host == "localhost" or host.endswith(".localhost")
    return not _is_public(getattr(address, "ipv4_mapped", None) or address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    is_special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not is_special and (address.version == 4 or address in _PUBLIC_V6)


def is_safe_url(url: str) -> bool:
    """Whether a URL may get credentials: over https, or over http on this machine."""
    try:
        parts = split_url(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    address = _address(host)
    is_loopback = address.is_loopback if address else host == "localhost"
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback))


def checked_url(value: str) -> str:
    """Check a URL that gets credentials, and drop its trailing slash.

    :raises ValueError: for any other text.
    """
    value = value.strip()
    if " " in value or not value.isprintable():
        raise ValueError("holds a space or a line break")
    parts = split_url(value)
    if not parts.hostname:
        raise ValueError("has no host; give the whole URL, such as https://api.example.com/v1")
    try:
        require_host(value)
    except ValueError:
        raise ValueError("holds a host that cannot exist; check the address") from None
    if not is_safe_url(value):
        raise ValueError("must start with https:// (plain http is for loopback addresses only)")
    # An empty query or fragment would swallow what is added to the URL.
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise ValueError("must hold neither credentials nor a query")
    return value.rstrip("/")


def checked_host(value: str) -> str:
    """Check a host name or address. The result is in lower case, as in ``urlsplit(url).hostname``.

    :raises ValueError: for a URL, a port, a path or a wildcard, which would match no host.
    """
    host = value.strip().lower().rstrip(".")
    if address := _address(host.strip("[]")):
        return str(address)
    if not all(map(_LABEL.fullmatch, host.split("."))):
        raise ValueError("must be names of hosts without scheme, port and path, such as files.example.com")
    return host
