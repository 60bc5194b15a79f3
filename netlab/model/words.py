"""The small words of the language: names, addresses, MACs; each says what would be right."""

from __future__ import annotations

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from posixpath import normpath
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

IP: TypeAlias = IPv4Address | IPv6Address
Cidr: TypeAlias = IPv4Interface | IPv6Interface
Prefix: TypeAlias = IPv4Network | IPv6Network

LAB_NAME = r"^[a-z0-9][a-z0-9-]{0,30}$"
NODE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$"
INTERFACE_NAME = r"^[A-Za-z0-9_.-]{1,15}$"
WORD = r"^[!-~]+$"
LEAST_IPV6_MTU = 1280
"""Below it Linux takes IPv6 off a device (RFC 8200 section 5)."""

DIRECTORIES = frozenset(
    f"/{name}"
    for name in (
        "bin", "boot", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run",
        "sbin", "srv", "sys", "tmp", "usr", "usr/bin", "usr/lib", "usr/local", "usr/sbin",
        "usr/share", "var", "var/lib", "var/log", "var/tmp",
    )
)  # fmt: skip
"""Of every Linux (FHS 3.0); no file can be shown in place of one."""

RESERVED_INTERFACES = frozenset({"lo", "all", "default", ".", ".."})
"""``lo`` is always there; the others are directories of ``/proc/sys/net/ipv4/conf``."""


def _address(value: Any) -> IP:
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    text = str(value)
    if "/" in text:
        raise ValueError(f"an address without a prefix length is meant here: {text.split('/')[0]}")
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 address") from None
    _refuse_zone(text)
    return address


def _server(value: Any) -> IP:
    """As resolv.conf(5) takes it: what is link-local may say on which link."""
    address, _, zone = str(value).partition("%")
    found = _address(address)
    is_on_link = found.version == 6 and found.is_link_local
    if not (is_on_link and re.fullmatch(INTERFACE_NAME, zone)):
        _refuse_zone(str(value))
    return ip_address(f"{found}%{zone}") if zone else found


def _refuse_zone(text: str) -> None:
    if "%" in text:
        right = re.sub("%[^/]*", "", text)
        raise ValueError(f"{text!r} names a link behind its `%`: {right} is meant here")


def _cidr(value: Any) -> Cidr:
    if isinstance(value, IPv4Interface | IPv6Interface):
        return value
    text = str(value)
    if "/" not in text:
        usual = 64 if ":" in text else 24
        raise ValueError(f"{text!r} lacks a prefix length: write {text}/{usual}")
    try:
        address = ip_interface(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an address with a prefix length (10.0.0.1/24)") from None
    _refuse_zone(text)
    return address


def _prefix(value: Any) -> Prefix:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = str(value)
    try:
        right = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a prefix (10.0.0.0/24)") from None
    if ip_address(text.partition("/")[0]) != right.network_address:
        raise ValueError(f"{text} has bits set beyond its length: {right} is meant?")
    return right


def _mac(value: Any) -> str:
    text = str(value).lower()
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text):
        raise ValueError(f"{value!r} is not a MAC address (02:00:00:00:00:01)")
    if int(text[:2], 16) & 1:
        raise ValueError(f"{text} is a multicast MAC; an interface needs a unicast one")
    if text == "00:00:00:00:00:00":
        raise ValueError("the all-zero MAC belongs to no interface")
    return text


def _interface_name(name: str) -> str:
    if name in RESERVED_INTERFACES - {"lo"}:
        raise ValueError(f"{name!r} cannot be an interface's name")
    return name


def _file_path(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/") or path.endswith("/"):
        raise ValueError(f"{path!r} is not an absolute path of a file")
    if (right := normpath(path).replace("//", "/")) != path:
        raise ValueError(f"{path!r} is {right!r}: write it so")
    if path in DIRECTORIES:
        raise ValueError(f"{path!r} is a directory")
    return path


def _text(what: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": what})


LabName: TypeAlias = Annotated[str, StringConstraints(pattern=LAB_NAME)]
NodeName: TypeAlias = Annotated[str, StringConstraints(pattern=NODE_NAME)]
InterfaceName: TypeAlias = Annotated[
    str, StringConstraints(pattern=INTERFACE_NAME), AfterValidator(_interface_name)
]
FilePath: TypeAlias = Annotated[str, AfterValidator(_file_path)]
AnIP: TypeAlias = Annotated[IP, BeforeValidator(_address), _text("An IPv4 or IPv6 address.")]
AServer: TypeAlias = Annotated[
    IP, BeforeValidator(_server), _text("An IPv4 or IPv6 address; fe80::1%eth0 says on which link.")
]
Word: TypeAlias = Annotated[str, StringConstraints(pattern=WORD)]
ACidr: TypeAlias = Annotated[
    Cidr, BeforeValidator(_cidr), _text("An address with its prefix length: 10.0.0.1/24.")
]
APrefix: TypeAlias = Annotated[
    Prefix, BeforeValidator(_prefix), _text("A prefix: 10.0.0.0/24 or fd00::/64.")
]
Mac: TypeAlias = Annotated[str, BeforeValidator(_mac), _text("A unicast MAC address.")]
