"""`netlab test` on labs of which it is known what holds."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

from tests.live.conftest import Write
from tests.live.world import done, eventually, inside, netlab

# a ── gw ── b
LAB = """
routing: static
nodes:
  a:
  gw:
    kind: router
    nftables: |
      table inet f {
        chain c {
          type filter hook forward priority 0
          tcp dport 23 counter drop comment "telnet"
        }
      }
  b: {processes: {httpd: {run: [python3, -m, http.server, 80], ready: {tcp: 80}}}}
  lonely: {}
links: [[a, gw], [gw, b]]
tests:
"""


def verdicts(write: Write, *tests: str, code: int = 0) -> list[dict[str, Any]]:
    said = netlab("test", write(LAB + "".join(f"  - {test}\n" for test in tests)), "--json")
    assert said.code == code, said
    found: list[dict[str, Any]] = said.json["tests"]
    return found


def words(found: list[dict[str, Any]]) -> list[str]:
    return [verdict["verdict"] for verdict in found]


def test_every_sort_passes_where_it_holds_and_nothing_is_left(write: Write, lab: str) -> None:
    found = verdicts(
        write,
        "{ping: b, from: a}",
        "{ping: b, from: a, version: 6}",
        "{tcp: 'b:80', from: a}",
        "{tcp: 'b:81', from: a, expect: refused}",
        "{udp: 'b:53', from: a, expect: refused}",
        "{http: 'http://b/', from: a, expect: {body: Directory listing}}",
        "{http: 'http://b/none', from: a, expect: {status: 404}}",
        "{route: b, from: a, expect: [a, gw, b]}",
        "{run: 'echo hello; exit 3', on: b, expect: {exit: 3, output: hell, matches: 'o$'}}",
        "{process: httpd, on: b}",
        "{counter: telnet, on: gw, expect: 0}",
    )
    assert words(found) == ["pass"] * 11
    assert netlab("show", lab).code == 5


def test_every_sort_fails_where_it_does_not_hold(write: Write) -> None:
    found = verdicts(
        write,
        "{ping: b, from: a, expect: denied, within: 0}",
        "{tcp: 'b:81', from: a, within: 0}",
        "{udp: 'b:53', from: a, within: 0}",
        "{http: 'http://b/none', from: a, within: 0}",
        "{http: 'http://b/', from: a, expect: {body: nowhere}, within: 0}",
        "{route: b, from: a, expect: [a, b], within: 0}",
        "{run: 'echo hello', on: b, expect: {output: hallo}, within: 0}",
        "{process: httpd, on: b, expect: exited, within: 0}",
        "{counter: telnet, on: gw, within: 0}",
        "{counter: telnets, on: gw, within: 0}",
        code=1,
    )
    assert words(found) == ["fail"] * 10
    assert found[1]["why"].startswith("refused at b: ")
    assert found[9]["saw"] == "no rule of gw has that comment"


def test_the_cause_of_a_failure_is_told(write: Write, lab: str) -> None:
    (found,) = verdicts(write, "{tcp: 'b:23', from: a, within: 0.2}", code=1)
    assert found["saw"].endswith(" port 23: denied")
    assert found["why"].startswith("denied at gw: a rule of gw drops the packet")
    assert found["line"].endswith(f"{lab}.yaml:11")


def test_a_denial_needs_a_control(write: Write) -> None:
    """Silence of a node that is not there is no firewall."""
    found = verdicts(
        write,
        "{tcp: 'b:23', from: a, expect: denied, within: 0.2}",
        "{ping: 192.0.2.1, from: a, expect: denied, within: 0.2}",
        "{ping: b, from: a}",
        code=1,
    )
    assert words(found) == ["pass", "inconclusive", "pass"]
    assert found[0]["control"] == "the test a → b ping answered"
    assert found[1]["why"]


# a ── gw ══ b, where the second link takes 1400 bytes
NARROW = """
routing: static
nodes:
  a:
  gw:
    kind: router
    nftables: |
      table inet f {
        chain c {
          type filter hook forward priority 0
          udp dport 99 counter drop
        }
      }
  b: {processes: {sink: {run: [python3, -c, "%s"], ready: {udp: 53}}}}
links: [[a, gw], {endpoints: [gw, b], mtu: 1400}]
tests:
""" % (  # noqa: UP031 - the text is full of braces
    "import signal, socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); "
    "s.bind(('::', 53)); signal.pause()"
)


def narrow(write: Write, *tests: str, code: int = 0) -> list[dict[str, Any]]:
    said = netlab("test", write(NARROW + "".join(f"  - {test}\n" for test in tests)), "--json")
    assert said.code == code, said
    found: list[dict[str, Any]] = said.json["tests"]
    return found


def test_a_ping_is_as_large_as_it_says(write: Write) -> None:
    found = narrow(
        write,
        "{ping: b, from: a, size: 1500}",
        "{ping: b, from: a, size: 1399, df: true}",
        "{ping: b, from: a, size: 1400, df: true, version: 6}",
        "{ping: b, from: a, size: 1401, df: true, expect: denied, within: 0.3}",
        "{ping: b, from: a, size: 1401, df: true, within: 0.3}",
        code=1,
    )
    assert words(found) == ["pass", "pass", "pass", "pass", "fail"]
    assert found[4]["why"].startswith("too-big at gw: the packet has 1401 bytes, more than the ")


def test_a_program_that_says_nothing_is_no_firewall(write: Write) -> None:
    found = narrow(
        write,
        "{udp: 'b:53', from: a, expect: denied, within: 0.3}",
        "{udp: 'b:99', from: a, expect: denied, within: 0.3}",
        code=1,
    )
    assert words(found) == ["fail", "pass"]
    assert found[0]["why"].startswith("it reached b: a trace saw a socket take it")
    assert found[1]["control"].startswith("an echo from a to 10.")


def test_a_control_of_its_own_is_found(write: Write) -> None:
    (found,) = verdicts(write, "{tcp: 'b:23', from: a, expect: denied, within: 0.2}")
    assert found["control"].startswith("an echo from a to 10.")


def test_who_has_no_address_is_no_judge(write: Write) -> None:
    (found,) = verdicts(write, "{ping: b, from: lonely, expect: denied}", code=1)
    assert (found["verdict"], found["tries"]) == ("inconclusive", 0)
    assert found["why"].startswith("lonely has no IPv4 address")


def test_a_lab_that_is_up_is_tested_and_stays(write: Write, lab: str, tmp_path: Path) -> None:
    file = write(LAB + "  - {ping: b, from: a, name: there}\n  - {ping: a, from: b, name: back}\n")
    done("up", file)
    report = tmp_path / "report.xml"
    told = done("test", lab, "--only", "the*e", "--junit", report)
    assert told.splitlines()[0].startswith("✓ there")
    assert told.splitlines()[1].startswith(f"{lab}: 1 passed in ")
    (suite,) = xml.parse(report).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (lab, "1", "0")
    assert inside(lab, "gw", "ip", "link", "set", "eth0", "down").code == 0
    failed = netlab("test", lab, "--only", "there", "--junit", report)
    assert failed.code == 1
    assert "fail: there  (" in failed.out
    (failure,) = xml.parse(report).getroot().iter("failure")
    assert "was not answered" in str(failure.get("message"))
    assert netlab("show", lab).code == 0


def test_a_lab_that_is_not_what_its_file_says_cannot_be_judged(write: Write, lab: str) -> None:
    text = LAB + "  - {ping: b, from: a}\n"
    done("up", write(text))
    write(text + "  - {ping: a, from: b}\n")
    assert netlab("test", lab).code == 0, "the tests alone are others"
    write(text.replace("lonely: {}", "lonely: {sysctls: {net.ipv4.ip_default_ttl: 63}}"))
    said = netlab("test", lab)
    assert said.code == 1
    assert "is not what its file says now" in said.out


def test_wrong_words_are_told(write: Write) -> None:
    file = write("nodes: {a: , b: }\nlinks: [[a, b]]\n")
    assert netlab("test", file).err.startswith(f"{file} has no tests")
    file = write("nodes: {a: , b: }\nlinks: [[a, b]]\ntests: [{ping: b, from: a}]\n")
    said = netlab("test", file, "--only", "nope")
    assert said.code == 2
    assert "--only nope: no test has such a name" in said.err


# a ── gw ══ b and a ── gw ── c, where the link to b takes 1400 bytes
ASKED = """
routing: static
nodes:
  a:
  gw:
    kind: router
    nftables: |
      table inet f {
        chain c {
          type filter hook forward priority 0
          udp dport 5353 counter drop comment "no mdns"
        }
      }
  b:
    files: {/etc/dns.py: {text: "%s"}}
    processes: {dns: {run: [python3, /etc/dns.py], ready: {udp: 53}}}
  c: {processes: {ended: {run: "true"}}}
links: [[a, gw], {endpoints: [gw, b], mtu: 1400}, [c, gw]]
tests:
"""
DNS = r"""
import socket, struct
one = {b"www": (0, [bytes([10, 9, 9, 9]), bytes([10, 9, 9, 8])]), b"empty": (0, []),
    b"none": (3, []), b"shut": (5, []), b"sick": (2, [])}
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind(("::", 53))
while True:
    asked, who = udp.recvfrom(512)
    code, found = one[asked[13:13 + asked[12]]]
    head = asked[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
    records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 9, 4) + a for a in found)
    udp.sendto(head + asked[12:] + records, who)
"""
"""A server that knows five names, written without netlab's own reader."""


def asked(write: Write, *tests: str, code: int = 0) -> list[dict[str, Any]]:
    server = DNS.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    said = netlab("test", write(ASKED % server + "".join(f"  - {t}\n" for t in tests)), "--json")
    assert said.code == code, said
    found: list[dict[str, Any]] = said.json["tests"]
    return found


def test_dns_tells_answers_from_all_that_is_none(write: Write) -> None:
    found = asked(
        write,
        "{dns: www.lan, from: a, server: b, answers: [10.9.9.8, 10.9.9.0/24]}",
        "{dns: www.lan, from: a, server: b, version: 6}",
        "{dns: empty.lan, from: a, server: b, expect: empty}",
        "{dns: none.lan, from: a, server: b, expect: nxdomain}",
        "{dns: shut.lan, from: a, server: b, expect: refused}",
        "{dns: sick.lan, from: a, server: b, expect: servfail}",
        "{dns: www.lan, from: a, server: c, expect: closed}",
        "{dns: www.lan, from: a, server: b, port: 5353, expect: denied}",
    )
    assert words(found) == ["pass"] * 8
    assert found[7]["control"].startswith("the test a → b ")


def test_dns_fails_where_the_answer_is_another(write: Write) -> None:
    found = asked(
        write,
        "{dns: www.lan, from: a, server: b, answers: [10.9.9.9], within: 0}",
        "{dns: www.lan, from: a, server: b, answers: [10.9.9.8, 10.9.9.7], within: 0}",
        "{dns: www.lan, from: a, server: b, expect: nxdomain, within: 0}",
        "{dns: none.lan, from: a, server: b, within: 0}",
        "{dns: www.lan, from: a, server: c, within: 0}",
        "{dns: www.lan, from: a, server: c, expect: denied, within: 0}",
        code=1,
    )
    assert words(found) == ["fail"] * 6
    assert found[0]["saw"].endswith("over udp: 10.9.9.9, 10.9.9.8")
    assert found[4]["saw"].endswith(": nobody listens there")


def test_the_path_mtu_is_found(write: Write) -> None:
    found = asked(
        write,
        "{mtu: b, from: a, expect: 1400}",
        "{mtu: b, from: a, expect: 1400, version: 6}",
        "{mtu: c, from: a, expect: 1500}",
        "{mtu: b, from: a, expect: 1500, within: 0}",
        "{mtu: c, from: a, expect: 1400, within: 0}",
        code=1,
    )
    assert words(found) == ["pass", "pass", "pass", "fail", "fail"]
    assert found[3]["saw"].startswith("1400 bytes get to 10.")
    assert found[3]["saw"].endswith("says that 1400 would fit")
    assert found[4]["saw"].startswith("1500 bytes get to 10.")


def test_what_gets_through_is_measured(write: Write) -> None:
    found = asked(
        write,
        "{throughput: b, from: a, least: 100kbit, bytes: 1M}",
        "{throughput: b, from: a, least: 100kbit, bytes: 1M, version: 6}",
        "{throughput: b, from: a, protocol: udp, rate: 2mbit, seconds: 0.2s, most: 900mbit}",
        "{throughput: b, from: a, most: 1kbit, bytes: 1M, within: 0}",
        "{throughput: b, from: a, least: 900gbit, bytes: 1M, within: 0}",
        code=1,
    )
    assert words(found) == ["pass", "pass", "pass", "fail", "fail"]
    assert "1048576 bytes arrived at 10." in found[3]["saw"]


def test_pings_are_counted_and_timed(write: Write) -> None:
    found = asked(
        write,
        "{ping: b, from: a, count: 20, rtt: [0ms, 5s]}",
        "{ping: b, from: a, count: 5, size: 1400, df: true, version: 6}",
        "{ping: b, from: a, count: 5, loss: [50, 100], within: 0}",
        "{ping: b, from: a, count: 5, rtt: [10s, 20s], within: 0}",
        "{ping: b, from: a, count: 5, size: 1401, df: true, loss: [100, 100], within: 0}",
        code=1,
    )
    assert words(found) == ["pass", "pass", "fail", "fail", "pass"]
    assert "5 echo requests of 56 bytes" in found[2]["saw"] and ": 0 % lost" in found[2]["saw"]
    assert found[4]["control"]


def test_json_of_a_command_is_held_against_a_part(write: Write) -> None:
    said = """[echo, '[{"dst": "x", "up": true, "n": [1, 2]}]']"""
    found = asked(
        write,
        f"{{run: {said}, on: a, expect: {{json: [{{up: true, n: [2]}}]}}}}",
        f"{{run: {said}, on: a, expect: {{json: [{{up: 1}}]}}, within: 0}}",
        "{run: 'echo no', on: a, expect: {json: {}}, within: 0}",
        code=1,
    )
    assert words(found) == ["pass", "fail", "fail"]
    assert found[1]["saw"].endswith('it does not hold [{"up": 1}]')
    assert ": it is no JSON, " in found[2]["saw"]


def test_who_does_not_run_is_no_judge(write: Write, lab: str) -> None:
    done("up", write(LAB + "  - {tcp: 'b:80', from: a, within: 0}\n"))
    done("stop", lab, "b")
    said = netlab("test", lab, "--json")
    (found,) = said.json["tests"]
    assert (said.code, found["verdict"]) == (1, "inconclusive")
    assert found["why"] == "b/httpd, which answers on tcp/80, is stopped"


def test_evidence_names_routes_neighbours_rules_and_counters(write: Write) -> None:
    (found,) = verdicts(write, "{tcp: 'b:23', from: a, within: 0.2}", code=1)
    told = "\n".join(found["evidence"])
    assert "a: route default via 10." in told
    assert "a: neighbour 10." in told
    assert 'gw: rule of inet f c: tcp dport 23 counter drop comment "telnet"' in told
    assert "gw: +1 counted in inet f c: tcp dport 23 counter " in told


def test_an_order_of_chance_is_told_and_comes_again(write: Write, lab: str) -> None:
    file = write(LAB + "".join(f"  - {{run: 'true', on: a, name: t{n}}}\n" for n in range(6)))
    done("up", file)
    first, again, plain = (
        netlab("test", lab, "--repeat", "2", *shuffle)
        for shuffle in (("--shuffle", "7"), ("--shuffle", "7"), ())
    )
    orders = [[line.split()[1] for line in said.out.splitlines()[:-1]] for said in (first, again)]
    assert orders[0] == orders[1] and len(orders[0]) == 12
    assert orders[0] != [line.split()[1] for line in plain.out.splitlines()[:-1]]
    assert sorted(orders[0][:6]) == sorted(orders[0][6:]), "each round is tried whole"
    assert first.out.splitlines()[-1].endswith("--shuffle 7")
    assert [t["round"] for t in netlab("test", lab, "--repeat", "2", "--json").json["tests"]] == (
        [1] * 6 + [2] * 6
    )


def test_what_a_process_said_and_what_was_meant_are_told(write: Write) -> None:
    found = verdicts(
        write,
        "{process: httpd, on: b, expect: exited, within: 0}",
        "{http: 'http://b/gone', from: a, expect: {status: 404}}",
        "{process: httpd, on: b, expect: exited, within: 0}",
        "{counter: telnets, on: gw, within: 0}",
        "{run: 'echo x; echo broken >&2; exit 4', on: a, within: 0}",
        code=1,
    )
    assert any("GET /gone" in line for line in found[2]["evidence"])
    assert found[3]["evidence"] == ['did you mean "telnet"?']
    assert found[4]["saw"] == "exit code 4, 'x', and said 'broken'"


def test_each_round_counts_anew(write: Write, lab: str) -> None:
    tests = (
        "{counter: telnet, on: gw, expect: 0}",
        "{tcp: 'b:23', from: a, expect: denied, within: 0.2}",
        "{counter: telnet, on: gw}",
    )
    file = write(LAB + "".join(f"  - {test}\n" for test in tests))
    found = netlab("test", file, "--repeat", "3", "--json").json["tests"]
    assert words(found) == ["pass"] * 9


def test_what_is_lost_has_to_be_seen_to_end(write: Write) -> None:
    found = asked(
        write,
        "{ping: 192.0.2.1, from: a, expect: lost, name: no route}",
        "{tcp: '192.0.2.1:80', from: a, expect: lost, name: no route of tcp}",
        "{udp: '192.0.2.1:80', from: a, expect: lost, name: no route of udp}",
        "{ping: b, from: a, expect: lost, within: 0.3}",
        "{udp: 'b:9', from: a, expect: lost, within: 0.3}",
        code=1,
    )
    assert words(found) == ["pass", "pass", "pass", "fail", "fail"]
    assert found[0]["control"] == "a trace saw how it ends, at gw: no-route"


def test_addresses_that_nobody_wrote_are_found(write: Write, lab: str) -> None:
    """a ── b, of which b gets its address while it is waited for"""
    later = "sleep 1; ip address add 10.0.0.2/24 dev eth0"
    file = write(
        "addressing: none\n"
        f'nodes: {{a: , b: {{processes: {{late: "{later}; sleep 60"}}}}}}\n'
        'links: [["a:eth0 10.0.0.1/24", b]]\n'
        "tests: [{ping: a, from: b, within: 20s}, {ping: b, from: a, within: 20s}]\n"
    )
    assert netlab("test", file).code == 0


def test_a_router_without_a_route_is_heard_of_datagrams_too(write: Write) -> None:
    (found,) = verdicts(write, "{udp: '192.0.2.1:9', from: a, expect: unreachable}", code=1)
    assert found["saw"] == "datagram to 192.0.2.1 port 9: unreachable"


# a ── gw ── b, where b may say nothing by ICMP, and gw lets no ICMP errors back for port 54
HUSHED = """
routing: static
nodes:
  a:
  gw:
    kind: router
    sysctls: {net.ipv4.icmp_ratelimit: 3600000}
    routes: [{to: 192.0.2.0/24, type: prohibit}, {to: 198.51.100.0/24, type: blackhole}]
    nftables: |
      table inet f {
        chain c {
          type filter hook forward priority 0
          udp dport 55 counter reject with icmp admin-prohibited
          udp dport 56 counter drop
          SHUT
        }
      }
  b: {sysctls: {net.ipv4.icmp_ratelimit: LIMIT}}
links: [[a, gw], [gw, b]]
tests:
"""


def hushed(write: Write, *tests: str, limit: int = 3600000, shut: str = "") -> list[dict[str, Any]]:
    text = HUSHED.replace("LIMIT", str(limit)).replace("SHUT", shut)
    said = netlab("test", write(text + "".join(f"  - {test}\n" for test in tests)), "--json")
    found: list[dict[str, Any]] = said.json["tests"]
    return found


def test_an_error_that_the_kernels_limit_keeps_back_is_traced(write: Write) -> None:
    found = hushed(
        write,
        "{udp: 'b:53', from: a, expect: refused, within: 0.2}",
        "{udp: 'b:55', from: a, expect: unreachable, within: 0.2}",
        "{udp: '192.0.2.1:9', from: a, expect: unreachable, within: 0.2}",
        "{udp: 'b:53', from: a, expect: unreachable, within: 0.2}",
        "{udp: 'b:55', from: a, expect: refused, within: 0.2}",
        "{udp: 'b:56', from: a, expect: refused, within: 0.2}",
        "{udp: '198.51.100.1:9', from: a, expect: unreachable, within: 0.2}",
    )
    assert words(found) == ["pass"] * 3 + ["fail"] * 4
    assert [one["control"].partition(";")[0] for one in found[:3]] == [
        "a trace saw how it ends, at b: refused",
        "a trace saw how it ends, at gw: denied",
        "a trace saw how it ends, at gw: null-routed",
    ]


def test_an_error_that_is_lost_on_its_way_back_is_missed(write: Write) -> None:
    shut = "icmp type destination-unreachable counter drop"
    test = "{udp: 'b:53', from: a, expect: refused, within: 0.2}"
    (found,) = hushed(write, test, limit=0, shut=shut)
    assert found["verdict"] == "fail"


def test_a_route_that_forbids_is_a_control(write: Write) -> None:
    test = "{udp: '198.51.100.1:9', from: a, expect: denied, within: 0.2}"
    (found,) = hushed(write, test)
    assert found["verdict"] == "pass"
    assert found["control"].startswith("its drop at gw was seen: gw has a blackhole route")


def test_a_lab_that_goes_meanwhile_cannot_be_judged(
    write: Write, lab: str, tmp_path: Path
) -> None:
    mark = tmp_path / "begun"
    begins = f"{{run: 'touch {mark}', on: a}}"
    done("up", write(f"{LAB}  - {begins}\n  - {{tcp: 'b:81', from: a, within: 20}}\n"))
    tested = subprocess.Popen(
        [sys.executable, "-m", "netlab", "test", lab, "--json"], stdout=subprocess.PIPE
    )
    eventually(mark.exists)
    done("down", lab)
    said, _ = tested.communicate(timeout=60)
    found = json.loads(said)["tests"]
    assert (tested.returncode, words(found)) == (1, ["pass", "inconclusive"])
    assert found[1]["why"] == "somebody took down a, gw, b, lonely meanwhile"


def test_where_a_report_is_to_go_is_known_before(write: Write, lab: str) -> None:
    file = write(LAB + "  - {ping: b, from: a}\n")
    said = netlab("test", file, "--junit", "/nowhere/report.xml")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("--junit /nowhere/report.xml: there is no directory /nowhere")
