"""The kernel's expressions as bytes: ``NFTA_LIST_ELEM``s of a rule.

Registers are counted in words of 32 bits, ``slot`` 0 to 15; the kernel's numbers for them are
those of ``register``. Attribute numbers: ``linux/netfilter/nf_tables.h``.
"""

from __future__ import annotations

from functools import cache

from .wire import attribute, nest, text, u8, u16, u32, u64

EQ, NEQ, LT, LTE, GT, GTE = range(6)
NTOH, HTON = 0, 1
VERDICTS = {"drop": 0, "accept": 1, "continue": -1, "jump": -3, "goto": -4, "return": -5}


def register(slot: int) -> int:
    """NFT_REG_1…4 where a slot begins one, else NFT_REG32_…."""
    return 1 + slot // 4 if slot % 4 == 0 else 8 + slot


def expression(name: str, *data: bytes) -> bytes:
    return nest(1, text(1, name) + nest(2, *data))


def value(number: int, data: bytes) -> bytes:
    return nest(number, attribute(1, data))


@cache
def verdict_data(number: int, code: int, chain: str = "") -> bytes:
    return nest(number, nest(2, u32(1, code), *((text(2, chain),) if chain else ())))


@cache
def payload(slot: int, base: int, offset: int, length: int) -> bytes:
    return expression(
        "payload", u32(1, register(slot)), u32(2, base), u32(3, offset), u32(4, length)
    )


def payload_write(slot: int, base: int, offset: int, length: int, checksum: tuple[int, int],
                  flags: int) -> bytes:  # fmt: skip
    kind, where = checksum
    return expression(
        "payload", u32(5, register(slot)), u32(2, base), u32(3, offset), u32(4, length),
        u32(6, kind), u32(7, where), u32(8, flags),
    )  # fmt: skip


@cache
def meta(slot: int, key: int) -> bytes:
    return expression("meta", u32(2, key), u32(1, register(slot)))


def meta_write(slot: int, key: int) -> bytes:
    return expression("meta", u32(2, key), u32(3, register(slot)))


@cache
def ct(slot: int, key: int, direction: int) -> bytes:
    way = (u8(3, direction),) if direction >= 0 else ()
    return expression("ct", u32(2, key), u32(1, register(slot)), *way)


def ct_write(slot: int, key: int, direction: int) -> bytes:
    way = (u8(3, direction),) if direction >= 0 else ()
    return expression("ct", u32(2, key), *way, u32(4, register(slot)))


def compare(slot: int, operator: int, data: bytes) -> bytes:
    return _compare(slot, operator, len(data)) + data + _PADDING[len(data) & 3]


_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


@cache
def _compare(slot: int, operator: int, length: int) -> bytes:
    """All that stands before the data: in a rule, little else differs from rule to rule."""
    whole = expression("cmp", u32(1, register(slot)), u32(2, operator), value(3, bytes(length)))
    return whole[: len(whole) - length - len(_PADDING[length & 3])]


def outside(slot: int, low: bytes, high: bytes) -> bytes:
    """Not in a range (the kernel's ``range neq``)."""
    return expression("range", u32(1, register(slot)), u32(2, 1), value(3, low), value(4, high))


def bitwise(slot: int, mask: bytes, xor: bytes) -> bytes:
    return expression(
        "bitwise", u32(1, register(slot)), u32(2, register(slot)), u32(3, len(mask)), u32(6, 0),
        value(4, mask), value(5, xor),
    )  # fmt: skip


def shift(slot: int, length: int, left: bool, by: int) -> bytes:
    return expression(
        "bitwise", u32(1, register(slot)), u32(2, register(slot)), u32(3, length),
        u32(6, 1 if left else 2), value(7, by.to_bytes(4, "little")),
    )  # fmt: skip


def byteorder(slot: int, operator: int, length: int, size: int) -> bytes:
    return expression(
        "byteorder", u32(1, register(slot)), u32(2, register(slot)), u32(3, operator),
        u32(4, length), u32(5, size),
    )  # fmt: skip


def lookup(slot: int, name: str, number: int, to: int | None, inverted: bool) -> bytes:
    """``to`` is the slot of a map's value, -1 for a verdict."""
    parts = [text(1, name), u32(2, register(slot))]
    if to is not None:
        parts.append(u32(3, 0 if to < 0 else register(to)))
    if number:
        parts.append(u32(4, number))
    if inverted:
        parts.append(u32(5, 1))
    return expression("lookup", *parts)


@cache
def verdict(kind: str, chain: str = "") -> bytes:
    return expression("immediate", u32(1, 0), verdict_data(2, VERDICTS[kind], chain))


def immediate(slot: int, data: bytes) -> bytes:
    return expression("immediate", u32(1, register(slot)), value(2, data))


def exthdr(slot: int, kind: int, header: int, offset: int, length: int, flags: int) -> bytes:
    return expression(
        "exthdr", u32(1, register(slot)), u8(2, header), u32(3, offset), u32(4, length),
        u32(6, kind), u32(5, flags),
    )  # fmt: skip


def exthdr_write(slot: int, kind: int, header: int, offset: int, length: int) -> bytes:
    return expression(
        "exthdr", u32(7, register(slot)), u8(2, header), u32(3, offset), u32(4, length),
        u32(6, kind),
    )  # fmt: skip


def exthdr_reset(header: int) -> bytes:
    return expression("exthdr", u8(2, header), u32(6, 1))


def fib(slot: int, result: int, flags: int) -> bytes:
    return expression("fib", u32(3, flags), u32(2, result), u32(1, register(slot)))


def route(slot: int, key: int) -> bytes:
    return expression("rt", u32(1, register(slot)), u32(2, key))


def socket(slot: int, key: int, level: int = 0) -> bytes:
    return expression("socket", u32(1, key), u32(2, register(slot)), u32(3, level))


def xfrm(slot: int, key: int, direction: int, number: int = 0) -> bytes:
    return expression(
        "xfrm", u32(2, key), u8(3, direction), u32(4, number), u32(1, register(slot))
    )


def osf(slot: int, ttl: int, flags: int) -> bytes:
    parts = [u32(1, register(slot)), u8(2, ttl)]
    return expression("osf", *parts, *((u32(3, flags),) if flags else ()))


def hash_of(slot: int, kind: int, modulus: int, seed: int | None, offset: int,
            source: int = 0, length: int = 0) -> bytes:  # fmt: skip
    parts = [u32(1, register(source))] if kind == 0 else []
    parts.append(u32(2, register(slot)))
    parts += [u32(3, length)] if kind == 0 else []
    parts.append(u32(4, modulus))
    parts += [u32(5, seed)] if seed is not None else []
    parts += [u32(6, offset)] if offset else []
    return expression("hash", *parts, u32(7, kind))


def numgen(slot: int, kind: int, modulus: int, offset: int) -> bytes:
    return expression(
        "numgen", u32(1, register(slot)), u32(2, modulus), u32(3, kind), u32(4, offset)
    )


@cache
def counter(packets: int, count: int) -> bytes:
    return expression("counter", u64(1, count), u64(2, packets))


@cache
def limit(rate: int, unit: int, burst: int, kind: int, flags: int) -> bytes:
    return expression(
        "limit", u64(1, rate), u64(2, unit), u32(3, burst), u32(4, kind), u32(5, flags)
    )


def quota(amount: int, flags: int, used: int) -> bytes:
    return expression("quota", u64(1, amount), u32(2, flags), u64(4, used))


def connections(count: int, flags: int) -> bytes:
    return expression("connlimit", u32(1, count), u32(2, flags))


def log(prefix: str, group: int | None, snaplen: int | None, threshold: int | None,
        level: int | None, flags: int) -> bytes:  # fmt: skip
    parts = [text(2, prefix)] if prefix else []
    parts += [u16(1, group)] if group is not None else []
    parts += [u32(3, snaplen)] if snaplen is not None else []
    parts += [u16(4, threshold)] if threshold is not None else []
    parts += [u32(5, level)] if level is not None else []
    parts += [u32(6, flags)] if flags else []
    return expression("log", *parts)


def reject(kind: int, code: int) -> bytes:
    return expression("reject", u32(1, kind), u8(2, code))


def nat(kind: int, family: int, address: tuple[int, int] | None, port: tuple[int, int] | None,
        flags: int) -> bytes:  # fmt: skip
    parts = [u32(1, kind), u32(2, family)]
    if address:
        parts += [u32(3, register(address[0])), u32(4, register(address[1]))]
    if port:
        parts += [u32(5, register(port[0])), u32(6, register(port[1]))]
    parts += [u32(7, flags)] if flags else []
    return expression("nat", *parts)


def masquerade(port: tuple[int, int] | None, flags: int) -> bytes:
    parts = [u32(1, flags)] if flags else []
    if port:
        parts += [u32(2, register(port[0])), u32(3, register(port[1]))]
    return expression("masq", *parts)


def redirect(port: tuple[int, int] | None, flags: int) -> bytes:
    parts = []
    if port:
        parts += [u32(1, register(port[0])), u32(2, register(port[1]))]
    parts += [u32(3, flags)] if flags else []
    return expression("redir", *parts)


def tproxy(family: int, address: int | None, port: int | None) -> bytes:
    parts = [u32(1, family)]
    parts += [u32(2, register(address))] if address is not None else []
    parts += [u32(3, register(port))] if port is not None else []
    return expression("tproxy", *parts)


def synproxy(mss: int, wscale: int, flags: int) -> bytes:
    return expression("synproxy", u16(1, mss), u8(2, wscale), u32(3, flags))


def queue(number: int, total: int, flags: int) -> bytes:
    return expression("queue", u16(1, number), u16(2, total), u16(3, flags))


def queue_to(slot: int, flags: int) -> bytes:
    return expression("queue", u32(4, register(slot)), u16(3, flags))


def duplicate(address: int | None, device: int | None) -> bytes:
    parts = [u32(1, register(address))] if address is not None else []
    parts += [u32(2, register(device))] if device is not None else []
    return expression("dup", *parts)


def forward(device: int, address: int | None, family: int) -> bytes:
    parts = [u32(1, register(device))]
    if address is not None:
        parts += [u32(2, register(address)), u32(3, family)]
    return expression("fwd", *parts)


def plain(name: str) -> bytes:
    return nest(1, text(1, name))


def dynset(verb: int, name: str, number: int, key: int, data: int | None, timeout: int,
           statements: tuple[bytes, ...]) -> bytes:  # fmt: skip
    parts = [u32(4, register(key))]
    parts += [u32(5, register(data))] if data is not None else []
    parts.append(u32(3, verb))
    parts += [u64(6, timeout)] if timeout else []
    parts += [text(1, name), u32(2, number)]
    if len(statements) == 1:
        parts.append(nest(7, statements[0][4:]))
    elif statements:
        parts += [nest(10, *statements), u32(9, 2)]
    return expression("dynset", *parts)


def reference(kind: int, name: str) -> bytes:
    return expression("objref", u32(1, kind), text(2, name))


def reference_by(slot: int, name: str, number: int) -> bytes:
    parts = [u32(3, register(slot)), text(4, name)]
    return expression("objref", *parts, *((u32(5, number),) if number else ()))


def offload(name: str) -> bytes:
    return expression("flow_offload", text(1, name))
