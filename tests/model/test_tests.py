"""`tests:` as they may be written, and what is wrong with those that may not."""

from __future__ import annotations

import pytest

from netlab.model.checks import SORTS
from tests.model.kinds import read, said

NODES = "nodes: {a: {processes: {httpd: sleep 60}}, b: }\nlinks: [[a, b]]\n"

GOOD = {
    "{ping: b, from: a}": "a → b ping answered",
    "{ping: b, from: a, name: they meet}": "they meet",
    "{ping: b, from: a, size: 1500, df: true, version: 6}": (
        "a → b over IPv6 ping of 1500 bytes in one piece answered"
    ),
    "{tcp: 'b:80', from: a, expect: refused}": "a → b:80 tcp refused",
    "{tcp: '[fd00::1]:80', from: a}": "a → [fd00::1]:80 tcp connected",
    "{udp: 'b:53', from: a}": "a → b:53 udp answered",
    "{http: 'http://b:8080/x', from: a, expect: {status: 404}}": "a → http://b:8080/x http 404",
    "{route: b, from: a, expect: [a, b]}": "a → b route a b",
    "{run: [sleep, 1], on: a}": "a: sleep 1",
    "{process: httpd, on: a, within: 10s}": "a/httpd process running",
    "{counter: dropped, on: a}": 'a: counter "dropped" at least 1',
    "{ping: b, from: a, count: 9, loss: [0, 10], rtt: [5ms, 0.02s]}": (
        "a → b ping 9 times answered, 0 to 10 % lost, in 5 to 20 ms"
    ),
    "{dns: www.lan, from: a, server: b, type: AAAA, answers: [fd00::1, 'fd00:1::/64']}": (
        "a → b dns AAAA www.lan answered fd00::1, fd00:1::/64"
    ),
    "{dns: www.lan, from: a, server: 10.0.0.1, over: tcp, expect: nxdomain}": (
        "a → 10.0.0.1 dns A www.lan nxdomain"
    ),
    "{mtu: b, from: a, expect: 1400}": "a → b path mtu 1400",
    "{throughput: b, from: a, least: 1.5mbit, most: 1gbit}": (
        "a → b tcp throughput, at least 1.5 mbit, at most 1 gbit"
    ),
    "{counter: dropped, on: a, expect: 0}": 'a: counter "dropped" 0',
}


@pytest.mark.parametrize("written", GOOD)
def test_a_test_says_what_it_does(written: str) -> None:
    loaded = read(f"{NODES}tests: [{written}]")
    assert said(loaded) == []
    assert loaded.topology is not None
    assert [test.title for test in loaded.topology.tests] == [GOOD[written]]


def test_every_sort_is_tried_here() -> None:
    assert {word for word in SORTS if any(f"{{{word}: " in written for written in GOOD)} == {*SORTS}


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("{ping: c, from: a}", "tests[0].ping: unknown node 'c'"),
        ("{ping: b, from: c}", "tests[0].from: unknown node 'c'"),
        ("{ping: b}", "tests[0]: `from` is missing"),
        ("{ping: b, from: a, size: 12}", "tests[0].size: 12 is less than 56, the least there is"),
        ("{pnig: b, from: a}", "did you mean 'ping'?"),
        ("{ping: b, tcp: 'b:1', from: a}", "tests[0]: a test has one of ping, tcp"),
        ("ping b", "tests[0]: a test is a mapping, not 'ping b'; as {ping: web, from: alice}"),
        ("{tcp: b, from: a}", "tests[0].tcp: 'b' names no port: write web:80, or [fd00::1]:80"),
        ("{tcp: 'b:99999', from: a}", "tests[0].tcp: 'b:99999' names no port"),
        ("{tcp: 'b:1', from: a, expect: conected}", "did you mean 'connected'?"),
        ("{http: b, from: a}", "tests[0].http: 'b' is no address of a page: write http://web/"),
        ("{run: x, on: a, expect: {matches: '('}}", "tests[0].expect.matches: '(' is no regular"),
        ("{process: httpx, on: a}", "a has no process 'httpx'; did you mean 'httpd'?"),
        ("{route: b, from: a, expect: [a, c]}", "tests[0].expect: unknown node 'c'"),
        ("{ping: b, from: a, loss: 5}", "tests[0].loss: 5 is no range: write [from, to]"),
        ("{ping: b, from: a, loss: [5, 101]}", "from the less to the more, within 0 and 100"),
        ("{ping: b, from: a, rtt: [2s, 1s]}", "from the less to the more"),
        ("{ping: b, from: a, rtt: [1, soon]}", "'soon' is no duration"),
        ("{ping: b, from: a, expect: denied, loss: [0, 5]}", "are of what is answered"),
        ("{dns: www.lan, from: a}", "tests[0]: `server` is missing"),
        ("{dns: www.lan, from: a, server: c}", "tests[0].server: unknown node 'c'"),
        ("{dns: www..lan, from: a, server: b}", "'www..lan' is no name of DNS"),
        ("{dns: x, from: a, server: b, expect: empty, answers: [y]}", "no `answers` where empty"),
        ("{mtu: b, from: a}", "tests[0]: `expect` is missing"),
        ("{mtu: b, from: a, expect: 20}", "tests[0].expect: 20 is less than 68"),
        ("{throughput: b, from: a, least: 10}", "10 is no rate: write 500kbit, 10mbit or 1gbit"),
        ("{throughput: b, from: a, least: 2mbit, most: 1mbit}", "`most` is less than `least`"),
        ("{throughput: b, from: a, rate: 1mbit}", "are for `protocol: udp`"),
        ("{ping: b, from: a, within: long}", "tests[0].within: 'long' is no duration"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(written: str, sentence: str) -> None:
    (line,) = said(read(f"{NODES}tests:\n  - {written}"))
    assert sentence in line


def test_tests_are_a_list() -> None:
    assert said(read(f"{NODES}tests: {{ping: b}}")) == [
        "3:8  tests: a list is meant here, not a mapping"
    ]
