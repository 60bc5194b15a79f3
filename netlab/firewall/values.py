"""Values of nft's types: text ⇄ number ⇄ bytes."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from . import names
from . import syntax as s
from .datatypes import Type
from .problems import Wrong, did_you_mean

WORDS = 16


def read(kind: Type, value: s.Value) -> int:
    """The number that a word means to a type; strings become the bytes of one."""
    text = value.text
    if text in kind.symbols:
        return kind.symbols[text]
    number = FORMS[kind.form][0](kind, text, value)
    if number >> (kind.bits or 128) or number < 0:
        raise Wrong(
            value.at, f"{text} is too large for {_named(kind)}",
            f"at most {(1 << kind.bits) - 1}",
        )  # fmt: skip
    return number


def show(kind: Type, number: int) -> s.Value:
    """The word that nft prints for a number of a type."""
    name = _names(kind).get(number)
    if name is not None:
        return s.Value(name, kind.form in ("day", "named"))
    return FORMS[kind.form][1](kind, number)


def show_end(kind: Type, number: int) -> s.Value:
    """The same at the end of a range, where nft prints no words: seconds, and plain numbers."""
    if kind.form == "duration" and not number % 1000:
        return s.Value(f"{number // 1000}s")
    return FORMS[kind.form][1](kind, number)


def encode(kind: Type, number: int) -> bytes:
    """The bytes that a register holds for a number of a type."""
    if kind.order == ">" or kind.form == "string":
        return number.to_bytes((kind.bits + 7) // 8, "big")
    return number.to_bytes((kind.bits + 7) // 8, "little")


def decode(kind: Type, data: bytes) -> int:
    if kind.order == ">" or kind.form == "string":
        return int.from_bytes(data, "big")
    return int.from_bytes(data, "little")


def _named(kind: Type) -> str:
    return f"a value of {kind.bits} bits" if kind.name == "integer" else f"{kind.name}"


_NAMES: dict[int, dict[int, str]] = {}


def _names(kind: Type) -> dict[int, str]:
    if id(kind.symbols) not in _NAMES:
        found: dict[int, str] = {}
        for name, number in kind.symbols.items():
            found.setdefault(number, name)
        _NAMES[id(kind.symbols)] = found
    return _NAMES[id(kind.symbols)]


# ---- one pair of functions per form: read, show


def _integer(kind: Type, text: str, value: s.Value) -> int:
    with suppress(ValueError):
        return int(text, 16) if text[:2].lower() == "0x" else int(text)
    known = list(kind.symbols)
    hint = did_you_mean(text, known) if known else ""
    raise Wrong(value.at, f"{text!r} is no {_name_of(kind)}", hint)


def _name_of(kind: Type) -> str:
    return "number" if kind.name == "integer" else kind.name


def _decimal(kind: Type, number: int) -> s.Value:
    return s.Value(str(number))


def _hex(kind: Type, number: int) -> s.Value:
    return s.Value(f"0x{number:0{(kind.bits + 3) // 4}x}")


def _bare_hex(kind: Type, number: int) -> s.Value:
    return s.Value(f"0x{number:x}")


def _mark(kind: Type, number: int) -> s.Value:
    return s.Value(f"0x{number:08x}")


def _service(kind: Type, text: str, value: s.Value) -> int:
    if text.isdecimal():
        return int(text)
    port = names.service(text)
    return _integer(kind, text, value) if port is None else port


def _ipv4(kind: Type, text: str, value: s.Value) -> int:
    try:
        return int.from_bytes(socket.inet_aton(text), "big") if text[:1].isdigit() else _host(text)
    except (ValueError, OSError):
        raise Wrong(value.at, f"{text!r} is no IPv4 address") from None


def _ipv6(kind: Type, text: str, value: s.Value) -> int:
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big")
    except OSError:
        raise Wrong(value.at, f"{text!r} is no IPv6 address") from None


def _host(text: str) -> int:
    if text == "localhost":
        return 0x7F000001
    raise ValueError(text)


def _show_ipv4(kind: Type, number: int) -> s.Value:
    return s.Value(f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")


def _show_ipv6(kind: Type, number: int) -> s.Value:
    return s.Value(socket.inet_ntop(socket.AF_INET6, number.to_bytes(16, "big")))


def _ether(kind: Type, text: str, value: s.Value) -> int:
    parts = text.split(":")
    with suppress(ValueError):
        if len(parts) == 6:
            return int.from_bytes(bytes(int(part, 16) for part in parts), "big")
    raise Wrong(value.at, f"{text!r} is no Ethernet address", "as in 00:11:22:33:44:55")


def _show_ether(kind: Type, number: int) -> s.Value:
    return s.Value(number.to_bytes(6, "big").hex(":"))


def _string(kind: Type, text: str, value: s.Value) -> int:
    data = (f"{text[:-2]}*" if text.endswith("\\*") else text).encode()
    if len(data) > WORDS or (len(data) == WORDS and not text.endswith("*")):
        raise Wrong(value.at, f"{text!r} is longer than 15 bytes")
    return int.from_bytes(data.ljust(WORDS, b"\0"), "big")


def _show_string(kind: Type, number: int) -> s.Value:
    data = number.to_bytes(WORDS, "big").rstrip(b"\0")
    text = data.decode(errors="replace")
    if text.endswith("*"):
        text = text[:-1] + "\\*"
    return s.Value(text, True)


def _classid(kind: Type, text: str, value: s.Value) -> int:
    if text == "none":
        return 0
    if text == "root":
        return 0xFFFFFFFF
    major, colon, minor = text.partition(":")
    with suppress(ValueError):
        if colon:
            return int(major or "0", 16) << 16 | int(minor or "0", 16)
    return _integer(kind, text, value)


def _show_classid(kind: Type, number: int) -> s.Value:
    named = {0: "none", 0xFFFFFFFF: "root"}.get(number)
    return s.Value(named or f"{number >> 16:x}:{number & 0xFFFF:x}")


def _account(kind: Type, text: str, value: s.Value) -> int:
    with suppress(ValueError):
        return int(text)
    found = names.account(kind.form, text)
    if found is None:
        raise Wrong(value.at, f"there is no {'user' if kind.form == 'uid' else 'group'} {text!r}")
    return found


_UNITS = {"w": 604800000, "d": 86400000, "h": 3600000, "m": 60000, "s": 1000, "ms": 1}


def milliseconds(text: str, at: int = 0, top: int = (1 << 63) - 1) -> int:
    """``1d2h``, or seconds without a unit."""
    parts = [(text, "s")] if text.isdecimal() else re.findall(r"(\d+)(ms|[wdhms])", text)
    if not parts or "".join(a + b for a, b in parts) not in (text, f"{text}s"):
        raise Wrong(at, f"{text!r} is no time", "as in 1d2h3m4s")
    found = sum(int(amount) * _UNITS[unit] for amount, unit in parts)
    if found > top:
        raise Wrong(at, f"{text} is too long", f"at most {top // 86400000} days")
    return found


def duration(number: int) -> str:
    """Milliseconds as nft writes them."""
    days, rest = divmod(number, 86400000)
    hours, rest = divmod(rest, 3600000)
    minutes, rest = divmod(rest, 60000)
    seconds, rest = divmod(rest, 1000)
    pairs = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"), (rest, "ms"))
    return "".join(f"{amount}{unit}" for amount, unit in pairs if amount) or "0s"


def _duration(kind: Type, text: str, value: s.Value) -> int:
    return milliseconds(text, value.at)


def _show_duration(kind: Type, number: int) -> s.Value:
    return s.Value(duration(number))


def _label(kind: Type, text: str, value: s.Value) -> int:
    bit = names.number(kind.name, text)
    if bit is None and text.isdecimal():
        bit = int(text)
    if bit is None or bit > 127:
        raise Wrong(value.at, f"{text!r} is no connection label",
                    "labels are numbers up to 127, or names in /etc/connlabel.conf")  # fmt: skip
    return 1 << bit


def _show_label(kind: Type, number: int) -> s.Value:
    if not number or number & number - 1:
        return s.Value(f"0x{number:x}")
    bit = number.bit_length() - 1
    name = names.name(kind.name, bit)
    return s.Value(name or str(bit), bool(name))


def _of_file(kind: Type, text: str, value: s.Value) -> int:
    found = names.number(kind.name, text)
    return _integer(kind, text, value) if found is None else found


def _show_of_file(kind: Type, number: int) -> s.Value:
    name = names.name(kind.name, number)
    return s.Value(name or str(number), bool(name))


_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def _date(kind: Type, text: str, value: s.Value) -> int:
    if text.isdecimal():
        return int(text) * 10**9
    for form in _DATES:
        with suppress(ValueError, OverflowError):
            return int(time.mktime(time.strptime(text, form))) * 10**9
    raise Wrong(value.at, f"{text!r} is no date", 'as in "2026-01-31 08:00:00"')


def _show_date(kind: Type, number: int) -> s.Value:
    moment = time.localtime(number // 10**9)
    return s.Value(time.strftime(_DATES[0], moment), True)


def _hour(kind: Type, text: str, value: s.Value) -> int:
    if text.isdecimal():
        return int(text)
    parts = text.split(":")
    with suppress(ValueError):
        numbers = [*map(int, parts), 0]
        if len(parts) in (2, 3):
            seconds = numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
            return (seconds - _east()) % 86400
    raise Wrong(value.at, f"{text!r} is no time of day", 'as in "08:30"')


def _east() -> int:
    return time.localtime().tm_gmtoff


def _show_hour(kind: Type, number: int) -> s.Value:
    seconds = (number + _east()) % 86400
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return s.Value(f"{text}:{seconds % 60:02d}" if seconds % 60 else text, True)


def _day(kind: Type, text: str, value: s.Value) -> int:
    days = [day for day in kind.symbols if day.lower() == text.lower() or
            (len(text) >= 3 and day.lower().startswith(text.lower()))]  # fmt: skip
    return kind.symbols[days[0]] if len(days) == 1 else _integer(kind, text, value)


def _cgroup(kind: Type, text: str, value: s.Value) -> int:
    found = names.cgroup(text)
    if found is None and not text.isdecimal():
        where = names.cgroups()
        raise Wrong(value.at, f"there is no cgroup {text!r}", f"looked for it in {where}")
    return int(text) if found is None else found


def _show_cgroup(kind: Type, number: int) -> s.Value:
    path = names.path_of_cgroup(number)
    return s.Value(str(number)) if path is None else s.Value(path, True)


FORMS: dict[str, tuple[Callable[[Type, str, s.Value], int], Callable[[Type, int], s.Value]]] = {
    "integer": (_integer, _decimal),
    "named": (_of_file, _show_of_file),
    "hex": (_integer, _hex),
    "0x": (_integer, _bare_hex),
    "mark": (_of_file, _mark),
    "service": (_service, _decimal),
    "ipv4": (_ipv4, _show_ipv4),
    "ipv6": (_ipv6, _show_ipv6),
    "ether": (_ether, _show_ether),
    "string": (_string, _show_string),
    "ifindex": (_integer, _decimal),
    "classid": (_classid, _show_classid),
    "uid": (_account, _decimal),
    "gid": (_account, _decimal),
    "duration": (_duration, _show_duration),
    "label": (_label, _show_label),
    "date": (_date, _show_date),
    "hour": (_hour, _show_hour),
    "day": (_day, _decimal),
    "cgroup": (_cgroup, _show_cgroup),
}
