"""Choose the proxy for a request from the environment.

httpx rejects some forms of ``NO_PROXY`` (``fd00::/8``) and ignores others (``10.0.0.0/8``, ``host:8080``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from urllib.request import getproxies

import httpx
import idna

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxies:
    """``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.

    :param by_scheme: scheme of a request, or ``all`` -> URL of its proxy.
    :param exempt: entries of ``NO_PROXY``, in lower case.
    """

    by_scheme: dict[str, str]
    exempt: tuple[str, ...]

    @classmethod
    def of_environment(cls) -> Proxies:
        given = getproxies()
        found = {scheme: given[scheme] for scheme in ("http", "https", "all") if given.get(scheme)}
        with_scheme = {name: url if "://" in url else f"http://{url}" for name, url in found.items()}
        return cls(with_scheme, tuple(given.get("no", "").lower().replace(",", " ").split()))

    def of(self, url: httpx.URL) -> str | None:
        """The proxy for a URL; None to connect directly."""
        proxy = self.by_scheme.get(url.scheme) or self.by_scheme.get("all")
        return None if proxy is None or any(_matches(entry, url) for entry in self.exempt) else proxy


def _matches(entry: str, url: httpx.URL) -> bool:
    """Whether an entry of ``NO_PROXY`` matches the host of a URL.

    An entry is ``*``, a name, an address or a network, each with or without a port (as in curl and Go). A
    name also matches its subdomains. It may be in Unicode or in ASCII. Other entries match nothing.
    """
    entry = entry.rpartition("://")[2]
    name, port = _split(entry)
    if port and port != str(url.port or PORTS.get(url.scheme)):
        return False
    host = url.raw_host.decode().strip("[]").rstrip(".").lower()
    try:
        return ip_address(host) in ip_network(name.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        name = _as_ascii(name.removeprefix("*.").strip("."))
        return any(fnmatchcase(form, name) for form in _forms(host)) or bool(
            name and host.endswith(f".{name}")
        )


def _as_ascii(name: str) -> str:
    """A name as it is looked up (RFC 5891). One with a wildcard, or an invalid one, stays as it is."""
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _forms(host: str) -> Iterator[str]:
    """A name in ASCII and in Unicode, for wildcards."""
    yield host
    with suppress(idna.IDNAError):
        yield idna.decode(host)


def _split(entry: str) -> tuple[str, str]:
    """Name and port. In an IPv6 address, a port follows the bracket."""
    name, _, port = entry.rpartition(":")
    is_port = port.isdigit() and (name.endswith("]") or ":" not in name)
    return (name, port) if is_port else (entry, "")
