"""Real daemons, as Debian has them: in the background or not, changed under way, and killed.

That each does its work in a lab is shown by the catalog: topologies/ospf, dhcp-dns, web, slaac.
"""
# ruff: noqa: E501 - a process is one line

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from shutil import which

import pytest

from tests.catalog.witness import renamed
from tests.live.conftest import Write
from tests.live.processes import (
    cgroup,
    children,
    comes_to,
    lives,
    logged,
    pid,
    shown,
    stands,
    topology,
)
from tests.live.world import done, eventually, inside, ip


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if not which(program)]
    reason = f"{', '.join(missing)} not installed; `make test` installs it"
    return pytest.mark.skipif(bool(missing), reason=reason)


BACKGROUND = {
    "dnsmasq": (
        "run: [dnsmasq, --user=root, --pid-file={place}/pid, --conf-file=/dev/null, --no-resolv, --log-facility={place}/log]",
        "udp: 53",
    ),
    "bird": (
        "run: [bird, -c, /etc/bird/bird.conf, -s, {place}/ctl, -P, {place}/pid]",
        "exec: birdc -s {place}/ctl show status",
    ),
    "nginx": (
        "run: [nginx, -e, stderr, -g, 'daemon on; worker_processes 3; user root; pid {place}/pid; error_log stderr;']",
        "tcp: 80",
    ),
    "radvd": (
        "run: [radvd, -C, /etc/radvd.conf, -p, {place}/pid, -m, logfile, -l, {place}/log]",
        "file: {place}/pid",
    ),
}  # fmt: skip

FILES = """
files:
  /etc/bird/bird.conf: "router id 10.0.0.1; protocol device { }\\n"
  /etc/radvd.conf: "interface lo { IgnoreIfMissing on; AdvSendAdvert off; };\\n"
  /etc/nginx/nginx.conf: "events {} http { access_log off; server { listen 80; } }\\n"
"""


@pytest.mark.parametrize("name", [pytest.param(n, marks=needs(n)) for n in BACKGROUND])
def test_a_daemon_that_goes_into_the_background_is_followed_and_ends(
    name: str, write: Write, lab: str, tmp_path: Path
) -> None:
    if name == "nginx" and cgroup(lab) is None:
        pytest.skip("no cgroup2 can be written to: nginx hides its environment and its session")
    run, ready = (text.format(place=tmp_path) for text in BACKGROUND[name])
    done("up", write(topology(f"p: {{{run}, ready: {{{ready}}}, restart: always}}", FILES)))
    number = eventually(lambda: _noted(tmp_path) == pid(lab) and pid(lab))
    assert stands(lab) == ("running", None, 0)
    family = [number, *children(number)]
    os.kill(number, signal.SIGKILL)
    comes_to(lab, ("running", None, 1))
    eventually(lambda: pid(lab) == _noted(tmp_path) != number)
    eventually(lambda: not any(map(lives, family)))
    again = [pid(lab), *children(pid(lab))]
    done("stop", lab, "n/p")
    eventually(lambda: not any(map(lives, again)))
    assert stands(lab)[0] == "stopped"


def _noted(place: Path) -> int:
    """What the daemon's pid file says; 0 where there is none yet."""
    file = place / "pid"
    return int(file.read_text() or 0) if file.exists() else 0


@needs("bird")
def test_routers_find_another_way_when_a_link_is_taken_out_of_the_file(
    write: Write, lab: str
) -> None:
    """r1 ── r2 goes; bird runs on in both, and finds r4 and r3."""
    text = renamed("ospf", lab)
    done("up", write(text))
    before = {name: p["pid"] for name, p in shown(lab).items()}
    eventually(lambda: _way(lab) == "r2", 20)
    shorter = text.replace('  - ["r1:r2", "r2:r1"]\n', "")
    assert shorter != text
    addresses = _addresses(lab)
    told = done("up", write(_with(shorter, addresses)))
    assert re.search("[0-9]+ steps? in", told)
    eventually(lambda: _way(lab) == "r4", 20)
    assert {name: p["pid"] for name, p in shown(lab).items()} == before


def _way(lab: str) -> str:
    """The interface by which r1 sends to east."""
    found = {route["dst"]: route for route in ip(f"{lab}.r1", "route")}
    return str(found.get("192.168.2.0/24", {}).get("dev", ""))


def _addresses(lab: str) -> dict[str, str]:
    """``r2:r3`` → its address: those of the links that stay are kept."""
    return {
        f"{node}:{link['ifname']}": f"{a['local']}/{a['prefixlen']}"
        for node in ("r1", "r2", "r3", "r4")
        for link in ip(f"{lab}.{node}", "-4", "address")
        for a in link["addr_info"]
    }


def _with(text: str, addresses: dict[str, str]) -> str:
    for end, address in addresses.items():
        text = text.replace(f'"{end}"', f'"{end} {address}"')
    return text


@needs("dnsmasq")
def test_a_name_server_that_starts_anew_answers_what_its_file_says_now(
    write: Write, lab: str
) -> None:
    text = """
nodes:
  ns:
    files: {/etc/dnsmasq.conf: "address=/www.lab/10.9.9.1\\nno-resolv\\n"}
    processes: {dns: {run: [dnsmasq, -k, --user=root, --pid-file, --log-facility=-], ready: {udp: 53}}}
  client:
    hosts: off
    resolv_conf: {nameservers: [10.0.0.1]}
    processes: {other: [sleep, "600"]}
links: [["ns:eth0 10.0.0.1/24", "client:eth0 10.0.0.2/24"]]
"""
    ask = ("getent", "ahostsv4", "www.lab")
    done("up", write(text))
    other = pid(lab, "client/other")
    assert inside(lab, "client", *ask).out.split()[0] == "10.9.9.1"
    done("up", write(text.replace("10.9.9.1", "10.9.9.2")))
    assert inside(lab, "client", *ask).out.split()[0] == "10.9.9.2"
    assert pid(lab, "client/other") == other


def test_a_python_web_server_is_answered_by_another_node(write: Write, lab: str) -> None:
    """client ── web: neither curl nor nginx is needed to try this."""
    done("up", write("""
nodes:
  web:
    files: {/srv/www/index.html: "hello\\n"}
    processes: {httpd: {run: [python3, -u, -m, http.server, 80, -d, /srv/www], ready: {tcp: 80}}}
  client: {exec: ["python3 -c 'import urllib.request as r; assert r.urlopen(\\"http://web/\\").read() == b\\"hello\\\\n\\"'"]}
links: [[web, client]]
"""))  # fmt: skip
    assert '"GET / HTTP/1.1" 200' in logged(lab, "web/httpd")[-1]
