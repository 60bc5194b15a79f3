"""The kernel that writes: a lab as a shell script of ``ip`` commands, for where netlab is not.

    $ netlab script lab.yaml > lab.sh; sh lab.sh up; ip netns exec lab.h1 ping h2; sh lab.sh down

The lines do what the real kernel room does, in its order. What iproute2 cannot do is said in a
comment of the script: it gives no host name of its own. And it shows only files that lie directly
below /etc and that the machine has as well; others the script itself shows, to what it starts and
to `sh lab.sh exec lab.h1 COMMAND`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from shlex import join, quote
from sys import maxsize
from typing import Any

from netlab.kernel.baseline import any_device, path_of
from netlab.kernel.enter import NO_RESOLVER
from netlab.kernel.script_text import FILES, Line, whole
from netlab.kernel.values import NextHop, Options, VethEnd

MAIN_TABLE = 254

_CENTISECONDS = frozenset({
    "forward_delay", "hello_time", "max_age", "ageing_time", "mcast_last_member_interval",
    "mcast_membership_interval", "mcast_querier_interval", "mcast_query_interval",
    "mcast_query_response_interval", "mcast_startup_query_interval",
})
"""Bridge options that ip-link(8) takes in hundredths of the seconds we count in."""

_NO_NEGATION = frozenset({"gbp", "gpe"})
"""Words of vxlan without a ``no`` form."""

_IF_THERE = " 2>/dev/null || :"


class ScriptKernel:
    """A ``Kernel`` that keeps what it is asked for as shell commands."""

    def __init__(self) -> None:
        self._written: list[Line] = []
        self._numbers = count(1)
        self._namespaces: list[str] = []
        self._hosts: dict[str, str] = {}
        self._env: dict[str, list[tuple[str, str]]] = {}
        self._with_files: set[str] = set()
        self._begun: dict[int, list[Line]] = {}
        """By turn, how those that have been started are waited for."""

    @property
    def lines(self) -> list[str]:
        """The commands in the order they were asked for."""
        self.flush()
        return [line.text for line in self._written]

    def __str__(self) -> str:
        return self.script(self._namespaces[0].partition(".")[0] if self._namespaces else "lab", "")

    def script(self, lab: str, description: str) -> str:
        """The whole script: ``up`` and ``down``, chosen by its first argument."""
        self.flush()
        return whole(lab, description, self._namespaces, self._written)

    def begin(self, token: object) -> None:
        """A script has nobody to refuse."""

    def insist(self) -> None:
        """A script stops for nobody."""

    def flush(self) -> None:
        """Those of one turn are started side by side, and then waited for."""
        for lines in self._begun.values():
            self._written += lines
        self._begun.clear()

    def most_namespaces(self) -> int:
        return maxsize

    def make_namespaces(self, names: Sequence[str]) -> Mapping[str, int]:
        return {name: next(self._numbers) for name in names}

    def add_namespace(self, ns: str) -> None:
        self._namespaces.append(ns)
        place = quote(f"/etc/netns/{ns}")
        lines = [f"ip netns add {quote(ns)}", f"begin {quote(ns)}", f"mkdir -p {place}"]
        resolv = _write(f"/etc/netns/{ns}/resolv.conf", NO_RESOLVER)
        lines += [f"[ ! -e /etc/resolv.conf ] || {resolv}"]
        if ns.partition(".")[0] in self._hosts:
            lines += [_copy_hosts(ns)]
        self._write(ns, *lines, chapter="namespaces")

    def del_namespace(self, ns: str) -> None:
        name = quote(ns)
        pids = f"$(ip netns pids {name} 2>/dev/null)"
        self._write(
            ns,
            f'for pid in {pids}; do kill -9 "$pid"{_IF_THERE}; done',
            f"[ ! -e {quote(f'/run/netns/{ns}')} ] || ip netns del {name}",
            f"rm -rf {quote(f'/etc/netns/{ns}')} {quote(f'{FILES}/{ns}')}",
            chapter="namespaces",
        )

    def own(self, inodes: Mapping[str, int]) -> None:
        """A script goes by names; ``up`` refuses those that are there already."""

    def add_veth(self, a: VethEnd, b: VethEnd) -> None:
        words = join(["ip", "link", "add", *_veth_end(a), "type", "veth", "peer", *_veth_end(b)])
        ups = [f"{_ip(end.ns)} link set dev {quote(end.name)} up" for end in (a, b) if end.up]
        self._write(a.ns, words, *ups, chapter="links")

    def add_device(
        self, ns: str, name: str, kind: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        settings = _device_words(kind, options)
        self._ip(ns, "link", "add", "name", name, *_common(mac, mtu), "type", kind, *settings)
        if up:
            self._ip(ns, "link", "set", "dev", name, "up")

    def add_tun(
        self, ns: str, name: str, mode: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        words = [w for key, value in options.items() for w in _tun_words(key, value)]
        self._ip(ns, "tuntap", "add", "dev", name, "mode", mode, *words)
        settings = [*_common(mac, mtu), *(["up"] if up else [])]
        if settings:
            self._ip(ns, "link", "set", "dev", name, *settings)

    def set_device(self, ns: str, name: str, kind: str, options: Options) -> None:
        self._ip(ns, "link", "set", "dev", name, "type", kind, *_device_words(kind, options))

    def set_mtu(self, ns: str, name: str, mtu: int) -> None:
        self._ip(ns, "link", "set", "dev", name, "mtu", mtu)

    def del_device(self, ns: str, name: str) -> None:
        self._write(ns, f"{_ip(ns)} link del dev {quote(name)}{_IF_THERE}", chapter="links")

    def set_offload(self, ns: str, name: str, feature: str, on: bool) -> None:
        words = ["ip", "netns", "exec", ns, "ethtool", "-K", name, feature, _on_off(on)]
        self._write(ns, join(words))

    def set_master(self, ns: str, name: str, master: str) -> None:
        to = ["master", master] if master else ["nomaster"]
        self._ip(ns, "link", "set", "dev", name, *to)

    def set_port(self, ns: str, name: str, options: Options) -> None:
        words = [w for key, value in options.items() for w in (key, _on_off(value))]
        self._ip(ns, "link", "set", "dev", name, "type", "bridge_slave", *words)

    def add_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        words = ["bridge", "-n", ns, "fdb", "append", mac, "dev", name, "dst", remote]
        self._write(ns, join(words))

    def del_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        words = ["bridge", "-n", ns, "fdb", "del", mac, "dev", name, "dst", remote]
        self._write(ns, join(words) + _IF_THERE)

    def add_address(self, ns: str, name: str, cidr: str) -> None:
        flags = ["nodad"] if ":" in cidr else ["brd", "+"]
        self._ip(ns, "address", "add", cidr, "dev", name, *flags)

    def del_address(self, ns: str, name: str, cidr: str) -> None:
        self._ip(ns, "address", "del", cidr, "dev", name, if_there=True)

    def add_route(
        self, ns: str, to: str, hops: Sequence[NextHop], kind: str, table: int, metric: int,
        source: str, replace: bool,
    ) -> None:
        verb = "replace" if replace else "add"
        alone = _hop_words(to, hops[0]) if len(hops) == 1 else []
        several = [
            word
            for hop in (hops if len(hops) > 1 else ())
            for word in ("nexthop", *_hop_words(to, hop), "weight", str(hop.weight))
        ]
        origin = ["src", source] if source else []
        where = _route_words(to, kind, table, metric)
        self._ip(ns, "route", verb, *where, *origin, "proto", "static", *alone, *several)

    def del_route(
        self, ns: str, to: str, kind: str, table: int, metric: int,
        hops: Sequence[NextHop] = (),
    ) -> None:
        self._ip(ns, "route", "del", *_route_words(to, kind, table, metric), if_there=True)

    def add_rule(self, ns: str, family: int, options: Options) -> None:
        self._ip(ns, f"-{family}", "rule", "add", *_rule_words(options))

    def del_rule(self, ns: str, family: int, options: Options) -> None:
        self._ip(ns, f"-{family}", "rule", "del", *_rule_words(options), if_there=True)

    def add_neighbour(self, ns: str, name: str, to: str, mac: str, proxy: bool) -> None:
        words = ["proxy", to] if proxy else [to, "lladdr", mac, "nud", "permanent"]
        self._ip(ns, "neighbour", "add", *words, "dev", name)

    def del_neighbour(self, ns: str, name: str, to: str, proxy: bool) -> None:
        words = ["proxy", to] if proxy else [to]
        self._ip(ns, "neighbour", "del", *words, "dev", name, if_there=True)

    def set_sysctl(self, ns: str, name: str, value: str) -> None:
        self._write(ns, _write_sysctl(ns, name, value))

    def reset_sysctl(self, ns: str, name: str, otherwise: str = "") -> None:
        if otherwise:
            self._write(ns, f"{_write_sysctl(ns, name, otherwise)} 2>/dev/null || :")
            return
        self._write(ns, join(["fresh", ns, path_of(name), path_of(any_device(name))]))

    def set_rules(self, ns: str, before: str, after: str) -> None:
        """By nft(8), which has to be there; a file that is included is written into the text."""
        from netlab.kernel import rules

        command = join(["ip", "netns", "exec", ns, "nft", "-f", "-"])
        text = rules.text(before, after)
        self._write(ns, f"printf %s {quote(text)} | {command}")

    def write_entry(self, ns: str, entry: str) -> None:
        wanted = json.loads(entry)
        self._env[ns] = [(key, value) for key, value in wanted.get("env", ())]
        if not wanted.get("hosts", True):
            self._write(ns, f"rm -f {quote(f'/etc/netns/{ns}/hosts')}")
        if wanted.get("resolv"):
            self._write(ns, _write(f"/etc/netns/{ns}/resolv.conf", wanted["resolv"]))
        for path, text, mode in wanted.get("files", ()):
            self._write(ns, f"printf %s {quote(text)} | {join(['give', ns, f'{mode:o}', path])}")
            self._with_files.add(ns)

    def del_entry(self, ns: str) -> None:
        self._env.pop(ns, None)
        self._with_files.discard(ns)
        place = quote(f"/etc/netns/{ns}")
        self._write(
            ns,
            f"find {place} -type f ! -name hosts ! -name resolv.conf -exec rm {{}} +",
            f"rm -rf {quote(f'{FILES}/{ns}')}",
        )

    def write_hosts(self, lab: str, text: str) -> None:
        self._hosts[lab] = text
        nodes = [ns for ns in self._namespaces if ns.partition(".")[0] == lab]
        lines = [f"hosts={quote(text)}", *map(_copy_hosts, nodes)]
        self._write("", *lines, chapter="names of the nodes")

    def del_hosts(self, lab: str) -> None:
        del self._hosts[lab]
        self._write("", f"rm -f /etc/netns/{quote(lab)}.*/hosts", chapter="names of the nodes")

    def start_supervisor(self, lab: str) -> None:
        """A script has none: its processes are started once, and end with their namespace."""

    def stop_supervisor(self, lab: str) -> None:
        """See ``start_supervisor``."""

    def start_process(self, ns: str, name: str, spec: str, turn: int) -> None:
        wanted = json.loads(spec)
        user = wanted["user"]
        env = [*wanted["env"], ("NETLAB_PROCESS", name)]
        words = ["setpriv", f"--reuid={user}", "--init-groups"] if user else []
        inside = self._inside(ns, env, "-C", wanted["cwd"])
        line = f"setsid {inside} {join([*words, *wanted['argv']])} </dev/null >/dev/null 2>&1 &"
        waits = _wait_lines(ns, wanted, self._inside(ns, wanted["env"]))
        if turn not in self._begun:
            self.flush()
        self._write(ns, line, chapter="processes")
        self._begun.setdefault(turn, []).extend(Line(ns, wait, "processes") for wait in waits)

    def set_process(self, ns: str, name: str, spec: str) -> None:
        """Nobody looks after the processes of a script."""

    def stop_process(self, ns: str, name: str, turn: int, forget: bool = True) -> None:
        mark = quote(f"NETLAB_PROCESS={name}")
        pids = f"$(ip netns pids {quote(ns)} 2>/dev/null)"
        end = f'tr "\\0" "\\n" < "/proc/$pid/environ" | grep -qx {mark} && kill "$pid"'
        self._write(ns, f"for pid in {pids}; do {end}{_IF_THERE}; done", chapter="processes")

    def run(self, ns: str, command: str) -> None:
        self.flush()
        self._write(ns, f"{self._inside(ns)} {join(['sh', '-c', command])}", chapter="commands")

    def _inside(self, ns: str, env: Iterable[tuple[str, str]] = (), *options: str) -> str:
        """How a command of the node begins, with its files and environment."""
        lab, _, node = ns.partition(".")
        told = [*self._env.get(ns, ()), *env, ("NETLAB_LAB", lab), ("NETLAB_NODE", node)]
        files = f' sh -euc "$inside" sh {quote(ns)}' if ns in self._with_files else ""
        words = join(["env", *options, *(f"{key}={value}" for key, value in told)])
        return f"ip netns exec {quote(ns)}{files} {words}"

    def _ip(self, ns: str, *words: str | int, if_there: bool = False) -> None:
        self._write(ns, f"{_ip(ns)} {join(map(str, words))}" + (_IF_THERE if if_there else ""))

    def _write(self, ns: str, *lines: str, chapter: str = "") -> None:
        self._written += [Line(ns, line, chapter) for line in lines]


def _wait_lines(ns: str, wanted: Mapping[str, Any], inside: str) -> Iterator[str]:
    """Until it is ready, as far as a shell can tell."""
    if not wanted["ready"]:
        return
    way, value = wanted["ready"]
    within = ["ip", "netns", "exec", ns]
    if way in ("tcp", "udp"):
        test = f"{join([*within, 'ss', '-Hln' + way[0], f'sport = :{value}'])} | grep -q ."
    elif way in ("file", "exec"):
        line = value if way == "exec" else f"test -e {quote(value)}"
        test = f"{inside} {join(['sh', '-c', line])} >/dev/null 2>&1"
    else:
        yield f"# not waited for: {way} {value!r}"
        return
    tries = max(1, int(wanted["within"] * 10))
    failed = f'{{ echo "not ready: {way} "{quote(value)} >&2; exit 1; }}'
    yield f"n=0; until {test}; do n=$((n + 1)); [ $n -lt {tries} ] || {failed}; sleep 0.1; done"


def _ip(ns: str) -> str:
    return f"ip -n {quote(ns)}"


def _write(path: str, text: str) -> str:
    return f"printf %s {quote(text)} > {quote(path)}"


def _copy_hosts(ns: str) -> str:
    return f'printf %s "$hosts" > {quote(f"/etc/netns/{ns}/hosts")}'


def _write_sysctl(ns: str, name: str, value: str) -> str:
    command = f"echo {quote(value)} > {quote(path_of(name))}"
    return join(["ip", "netns", "exec", ns, "sh", "-c", command])


def _veth_end(end: VethEnd) -> list[str]:
    return ["name", end.name, "netns", end.ns, *_common(end.mac, end.mtu)]


def _common(mac: str, mtu: int) -> list[str]:
    return [*(["address", mac] if mac else []), *(["mtu", str(mtu)] if mtu else [])]


def _device_words(kind: str, options: Options) -> list[str]:
    words = _bridge_words if kind == "bridge" else _tunnel_words
    return [word for key, value in options.items() for word in words(key, value)]


def _bridge_words(key: str, value: int | str | bool) -> list[str]:
    if isinstance(value, bool):
        return [key, str(int(value))]
    return [key, str(int(value) * 100) if key in _CENTISECONDS else str(value)]


def _tunnel_words(key: str, value: int | str | bool) -> list[str]:
    if not isinstance(value, bool):
        return [key, str(value)]
    if value:
        return [key]
    return [] if key in _NO_NEGATION else [f"no{key}"]


def _tun_words(key: str, value: int | str | bool) -> list[str]:
    if isinstance(value, bool):
        return [key] if value else []
    return [{"owner": "user"}.get(key, key), str(value)]


def _on_off(value: int | str | bool) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _route_words(to: str, kind: str, table: int, metric: int) -> list[str]:
    words = [to] if kind == "unicast" else [kind, to]
    words += ["table", str(table)] if table != MAIN_TABLE else []
    return words + (["metric", str(metric)] if metric else [])


def _hop_words(to: str, hop: NextHop) -> list[str]:
    foreign = ["inet6"] if ":" in hop.gateway and ":" not in to else []
    words = ["via", *foreign, hop.gateway] if hop.gateway else []
    words += ["dev", hop.device] if hop.device else []
    return words + (["onlink"] if hop.onlink else [])


def _rule_words(options: Options) -> Iterable[str]:
    """``not`` goes first; a switch that is on is its word alone; to look up is ip(8)'s default."""
    for key, value in sorted(options.items(), key=lambda option: option[0] != "not"):
        if (key, value) == ("type", "lookup"):
            continue
        if isinstance(value, bool):
            yield from [key] if value else []
        else:
            yield from (key, f"{value:#x}" if key == "tos" else str(value))  # ip reads tos as hex
    yield from ("protocol", "static")
