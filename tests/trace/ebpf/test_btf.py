"""BTF that is written here, read back."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from netlab.trace.bpf.btf import Btf, NoSuchType, Way

INT, PTR, ARRAY, STRUCT, UNION, ENUM, TYPEDEF, CONST, PROTO = 1, 2, 3, 4, 5, 6, 8, 10, 13


class Writer:
    """Types by their numbers, the first is 1, or the first behind a base's."""

    def __init__(self, first: int = 1, strings: int = 0) -> None:
        self.types, self.strings, self.next, self.begin = b"", b"\0", first, strings
        if strings:
            self.strings = b""

    def text(self, name: str) -> int:
        if not name:
            return 0
        at = self.begin + len(self.strings)
        self.strings += name.encode() + b"\0"
        return at

    def put(self, name: str, kind: int, size: int, more: Sequence[int] = (), count: int = 0) -> int:
        info = kind << 24 | count
        self.types += struct.pack(f"=III{len(more)}I", self.text(name), info, size, *more)
        self.next += 1
        return self.next - 1

    def struct(
        self, name: str, size: int, *members: tuple[str, int, int], kind: int = STRUCT
    ) -> int:
        parts = [n for called, inner, bit in members for n in (self.text(called), inner, bit)]
        return self.put(name, kind, size, parts, len(members))

    def data(self) -> bytes:
        head = struct.pack(
            "=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings)
        )
        return head + self.types + self.strings


def kernel() -> Writer:
    w = Writer()
    number = w.put("int", INT, 4, [32])
    letter = w.put("char", INT, 1, [8])
    name = w.put("", ARRAY, 0, [letter, number, 16])
    ns = w.struct("ns_common", 24, ("count", number, 0), ("inum", number, 64))
    net = w.struct("net", 64, ("ns", ns, 256))
    to_net = w.put("", PTR, net)
    possible = w.put("possible_net_t", TYPEDEF, w.struct("", 8, ("net", to_net, 0)))
    device = w.struct(
        "net_device", 128, ("name", name, 64), ("nd_net", possible, 192), ("ifindex", number, 512)
    )
    to_device = w.put("", PTR, w.put("", CONST, device))
    inner = w.struct("", 16, ("next", to_device, 0), ("dev", to_device, 64), kind=UNION)
    skb = w.struct("sk_buff", 64, ("", inner, 128), ("len", number, 320), ("flag", number, 353))
    reasons = [w.text("NONE"), 0, w.text("NO_SOCKET"), 3]
    reason = w.put("skb_drop_reason", ENUM, 4, reasons, 2)
    to_skb = w.put("", PTR, skb)
    nothing = w.put("", PTR, 0)
    proto = w.put(
        "", PROTO, 0, [0, nothing, 0, to_skb, 0, nothing, 0, reason, 0, number, 0, number], 6
    )
    w.put("btf_trace_kfree_skb", TYPEDEF, w.put("", PTR, proto))
    return w


def test_a_member_by_its_path() -> None:
    types = Btf(kernel().data())
    assert types.way("sk_buff.len") == Way((40,), 4)
    assert types.way("sk_buff.dev->ifindex") == Way((24, 64), 4)
    assert types.way("sk_buff.dev->name") == Way((24, 8), 16)
    assert types.way("sk_buff.dev->nd_net.net->ns.inum") == Way((24, 24, 40), 4)
    assert types.way("sk_buff.next") == Way((16,), 8)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sk_buf.len", "there is no struct sk_buf"),
        ("sk_buff.length", "sk_buff.length does not exist: no length"),
        ("sk_buff.len->x", "sk_buff.len->x follows what is no pointer"),
        ("sk_buff.flag", "sk_buff.flag begins within a byte"),
        ("sk_buff.len.x", "sk_buff.len.x does not exist: no x"),
    ],
)
def test_what_there_is_not_is_told(path: str, said: str) -> None:
    with pytest.raises(NoSuchType) as told:
        Btf(kernel().data()).way(path)
    assert str(told.value) == said


def test_the_arguments_of_a_tracepoint_and_the_names_of_an_enum() -> None:
    types = Btf(kernel().data())
    assert types.arguments("kfree_skb") == (
        "sk_buff *", "void *", "enum skb_drop_reason", "int", "int",
    )  # fmt: skip
    assert types.names("skb_drop_reason") == {0: "NONE", 3: "NO_SOCKET"}
    with pytest.raises(NoSuchType, match="there is no tracepoint kfree"):
        types.arguments("kfree")
    with pytest.raises(NoSuchType, match="there is no enum sk_buff"):
        types.names("sk_buff")


def test_a_module_has_its_types_behind_the_kernels() -> None:
    base = kernel()
    types = Btf(base.data())
    w = Writer(types.count, len(base.strings))
    number = types.numbers("net_device", (STRUCT,))[0]
    port = w.struct("net_bridge_port", 16, ("dev", w.put("", PTR, number), 64))
    proto = w.put("", PROTO, 0, [0, 0, 0, w.put("", PTR, port)], 2)
    w.put("btf_trace_br_fdb_update", TYPEDEF, w.put("", PTR, proto))
    module = Btf(w.data(), types)
    assert module.way("net_bridge_port.dev->ifindex") == Way((8, 64), 4)
    assert module.way("sk_buff.len") == Way((40,), 4)
    assert module.arguments("br_fdb_update") == ("net_bridge_port *",)


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb", b"\0" * 64])
def test_what_is_no_btf_is_told(data: bytes) -> None:
    with pytest.raises(NoSuchType, match="what should be BTF is"):
        Btf(data)
