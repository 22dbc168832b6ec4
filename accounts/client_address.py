"""The address that a request comes from, believed from none but the proxies that the settings name."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

FORWARDED = "HTTP_X_FORWARDED_FOR"
UNKNOWN = IPv4Address(0)


def client_address(request: HttpRequest) -> str | None:
    """Give the client's IP address; None where there is none, as on a Unix socket.

    It is the connection's, unless a proxy of TRUSTED_PROXIES holds the connection: then the last entry of
    X-Forwarded-For that no such proxy wrote. A client may write what it likes to the left of that.
    """
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get(FORWARDED, "").split(",")
    while address is not None and forwarded and is_trusted(address):
        before = _parsed(forwarded.pop())
        if before is None:
            break
        address = before
    return None if address is None else str(address)


def client_network(request: HttpRequest) -> str:
    """Name what limits by address count as one client: an IPv4 address, or an IPv6 network of 64 bits.

    Whoever has one IPv6 address has 2^64 of them. Clients without an address are all one, 0.0.0.0.
    """
    address = _parsed(client_address(request) or "") or UNKNOWN
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False).network_address)
    return str(address)


def is_trusted(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is that of a proxy of ours."""
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    # what a socket of both families calls an IPv4 address
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
