"""What a node holds, in words."""

from __future__ import annotations

from netlab.bundle import words
from netlab.bundle.index import NodePage, Page, Why, text
from netlab.firewall.syntax import Chain, Counter, Decide, Rule, Table, Verdict
from netlab.kernel.holding import (
    HeldAddress,
    HeldHop,
    HeldLink,
    HeldNeighbour,
    HeldPolicy,
    HeldPort,
    HeldRoute,
    HeldTables,
    Holding,
)
from netlab.kernel.traffic import Traffic

LAN = HeldLink("lan", 2, "veth", mac="02:00:00:00:00:01")
OFF = HeldLink("off", 3, "veth", up=False, carrier=False, port=HeldPort("br0", "disabled"))
DROPPED = Rule((Counter(3, 180), Decide(Verdict("drop"))))
HOLDING = Holding(
    (LAN, OFF),
    (
        HeldAddress("lan", "10.0.0.1", 24),
        HeldAddress("lan", "fd00::1", 64, flags=("dadfailed",)),
    ),
    (
        HeldRoute("10.0.0.0/24", scope=253, hops=(HeldHop(device="lan"),), source="10.0.0.1"),
        HeldRoute("0.0.0.0/0", hops=(HeldHop("10.0.0.2", "lan"), HeldHop("10.0.0.3", "lan", 2))),
        HeldRoute("10.9.0.0/16", table=100, hops=(HeldHop("10.1.0.1", "off", dead=True),)),
        HeldRoute("fe80::/64", hops=(HeldHop(device="off", linkdown=True),), metric=256),
        HeldRoute("192.0.2.0/24", type="blackhole"),
    ),
    (HeldPolicy(4, 1000, 100, source="10.0.0.0/24", mark=1, mask=0xFF),),
    (HeldNeighbour("lan", "10.0.0.2", "", "failed"),),
    tables=HeldTables((Table("inet", "f", (Chain("in", rules=(DROPPED,)),)),)),
)
CARRIED = {"lan": Traffic(rx_packets=5, rx_bytes=400, tx_dropped=2)}


def test_links_stand_beside_what_they_carried() -> None:
    assert words.links(HOLDING, CARRIED).splitlines() == [
        "interface  kind  state  mtu   mac                in            "
        "addresses                          packets in/out  bytes in/out  dropped in/out",
        "lan        veth  up     1500  02:00:00:00:00:01                "
        "10.0.0.1/24 fd00::1/64(dadfailed)  5/0             400/0         0/2",
        "off        veth  down   1500                     br0 disabled  "
        "                                   0/0             0/0",
    ]


def test_routes_stand_below_their_tables() -> None:
    assert words.routes(HOLDING) == (
        "IPv4 1000: from 10.0.0.0/24 fwmark 0x1/0xff lookup 100\n"
        "\n"
        "table 100\n"
        "  10.9.0.0/16 via 10.1.0.1 dev off dead\n"
        "\n"
        "table main\n"
        "  10.0.0.0/24 dev lan src 10.0.0.1 scope link\n"
        "  default nexthop via 10.0.0.2 dev lan weight 1 nexthop via 10.0.0.3 dev lan weight 2\n"
        "  fe80::/64 dev off linkdown metric 256\n"
        "  blackhole 192.0.2.0/24\n"
        "\n"
    )


def test_what_is_seldom_so_stands_out() -> None:
    assert words.notable(HOLDING, CARRIED) == [
        "off is down",
        "fd00::1 on lan cannot be used: dadfailed",
        "nobody answers for 10.0.0.2 on lan (failed)",
        "a route leads nowhere: 10.9.0.0/16 via 10.1.0.1 dev off dead",
        "a rule of inet f in has hit: counter packets 3 bytes 180 drop",
        "lan has counted 0 drops on the way in, 2 on the way out",
    ]


def test_the_index_is_for_people() -> None:
    page = Page(
        "l", Why("test_it", "assert 1 == 2"), {"netlab": "1", "machine": ""},
        [NodePage("a", "host", ["`eth0` up"], ["eth0 is down"], {"routes": "nodes/a/routes.txt"})],
        {"in words": "packets.txt"}, ["address 10.0.0.1/24: gone"], [("a:eth0", 4, 1)],
    )  # fmt: skip
    assert text(page) == (
        "# l: test_it\n\n- netlab: 1\n- [in words](packets.txt)\n"
        "\n## What failed\n\n```\nassert 1 == 2\n```\n"
        "\n## What stands out\n\n- address 10.0.0.1/24: gone\n- a: eth0 is down\n"
        "\n## The last packets\n\n- `a:eth0` 4, and 1 that there was no room for\n"
        "\n## Nodes\n\n### a (host)\n\n- `eth0` up\n\n[routes](nodes/a/routes.txt)\n"
    )


def test_a_fence_is_longer_than_what_it_holds_and_a_long_text_is_cut() -> None:
    said = text(Page("l", Why("t", "```\n" + "x\n" * 300), {}, [], {}))
    assert "\n````\n… 101 lines before this: failure.txt\nx\n" in said
    assert said.count("x\n") == 200


def test_traffic_since_and_of_a_device_that_was_made_anew() -> None:
    assert Traffic(5, 400).since(Traffic(2, 100)) == Traffic(3, 300)
    assert Traffic(1, 60).since(Traffic(2, 100)) == Traffic(1, 60)
