"""The real kernel: requests queued by namespace, sent in large batches, refusals told apart."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netlab.errors import CommandFailed
from netlab.kernel import addresses, baseline, enter, ethtool, files, links, routes, tuntap
from netlab.kernel.acts import Op, as_refusal
from netlab.kernel.indexes import Indexes
from netlab.kernel.limits import most_fresh
from netlab.kernel.options import OPTIONS
from netlab.kernel.queues import Commands, Links, Names, Pair
from netlab.kernel.taker import Taker

if TYPE_CHECKING:
    from netlab.kernel.fresh import Stock
    from netlab.kernel.values import NextHop, Options, VethEnd
    from netlab.kernel.wire import Request

SAID_LINES = 20
"""How much of a failed command's output is worth showing."""


class NetlinkKernel(Taker):
    """A ``Kernel``: to what takes down, all that makes and changes."""

    def __init__(
        self,
        lab: str,
        *,
        state: str = enter.STATE,
        netns: str = enter.NETNS,
        should_stop: Callable[[], bool] = lambda: False,
        stock: Stock | None = None,
    ) -> None:
        super().__init__(lab, state=state, netns=netns, should_stop=should_stop, stock=stock)
        self._indexes = Indexes(self._namespaces, self._worker)
        self._fresh: dict[str, str] = {}

    def flush(self) -> None:
        try:
            super().flush()
        except BaseException:
            self._indexes.doubt()  # what was chosen and forgotten ahead may not have come true
            raise

    # namespaces

    def most_namespaces(self) -> int:
        return most_fresh()

    def make_namespaces(self, names: Sequence[str]) -> Mapping[str, int]:
        try:
            made = self._worker.call(lambda: self._namespaces.make(names))
        except OSError as problem:
            raise as_refusal(problem, self._queue.token, "CONFIG_NET_NS") from problem
        for ns in made:
            self._indexes.fresh(ns)
        return made

    def add_namespace(self, ns: str) -> None:
        run, token = self._queue.run(Names), self._queue.token
        run.add.append(Op(token, lambda: self._namespaces.name(ns)))
        run.after.setdefault(ns, []).append(Op(token, links.set_up(1, True)))

    # devices

    def add_veth(self, a: VethEnd, b: VethEnd) -> None:
        a_index = self._indexes.choose(a.ns, a.name)
        b_index = self._indexes.choose(b.ns, b.name)

        def request(a_fd: int, b_fd: int) -> Request:
            return links.new_veth(a, a_index, a_fd, b, b_index, b_fd)

        run, token = self._queue.run(Links), self._queue.token
        run.pairs.append(Pair(token, a.ns, b.ns, request, OPTIONS["veth"]))
        if b.up:
            run.after.setdefault(b.ns, []).append(Op(token, links.set_up(b_index, True)))

    def add_device(
        self, ns: str, name: str, kind: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        index = self._indexes.choose(ns, name)
        request = links.new_device(name, index, kind, mac, mtu, up, options)
        self._queue.add(ns, request, OPTIONS.get(kind, ""))

    def add_tun(
        self, ns: str, name: str, mode: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        index = self._indexes.choose(ns, name)
        self._queue.add(ns, lambda: tuntap.add(name, mode, index, options), OPTIONS["tun"])
        if mac:
            self._queue.add(ns, links.set_mac(index, mac))
        if mtu:
            self._queue.add(ns, links.set_mtu(index, mtu))
        if up:
            self._queue.add(ns, links.set_up(index, True))

    def set_device(self, ns: str, name: str, kind: str, options: Options) -> None:
        self._queue.add(ns, links.set_device(self._index(ns, name), kind, options))

    def set_mtu(self, ns: str, name: str, mtu: int) -> None:
        self._queue.add(ns, links.set_mtu(self._index(ns, name), mtu))

    def del_device(self, ns: str, name: str) -> None:
        if index := self._indexes.of(ns, name):
            self._queue.delete(ns, links.del_link(index))
            self._indexes.forget(ns, name)

    def set_offload(self, ns: str, name: str, feature: str, on: bool) -> None:
        self._queue.add(ns, lambda: ethtool.set_offload(name, feature, on))

    # bridges

    def set_master(self, ns: str, name: str, master: str) -> None:
        if master:
            request = links.set_master(self._index(ns, name), self._index(ns, master))
            self._queue.add(ns, request)
        elif index := self._indexes.of(ns, name):
            self._queue.delete(ns, links.set_master(index, 0))

    def set_port(self, ns: str, name: str, options: Options) -> None:
        self._queue.add(ns, links.set_port(self._index(ns, name), options))

    def add_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        self._queue.add(ns, addresses.new_fdb(self._index(ns, name), mac, remote))

    def del_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        if index := self._indexes.of(ns, name):
            self._queue.delete(ns, addresses.del_fdb(index, mac, remote))

    # layer 3

    def add_address(self, ns: str, name: str, cidr: str) -> None:
        self._queue.add(ns, addresses.new_address(self._index(ns, name), cidr))

    def del_address(self, ns: str, name: str, cidr: str) -> None:
        if index := self._indexes.of(ns, name):
            self._queue.delete(ns, addresses.del_address(index, cidr))

    def add_route(
        self,
        ns: str,
        to: str,
        hops: Sequence[NextHop],
        kind: str,
        table: int,
        metric: int,
        source: str,
        replace: bool,
    ) -> None:
        ways = [
            (h.gateway, self._index(ns, h.device) if h.device else 0, h.weight, h.onlink)
            for h in hops
        ]
        self._queue.add(ns, routes.new_route(to, ways, kind, table, metric, source, replace))

    def del_route(
        self,
        ns: str,
        to: str,
        kind: str,
        table: int,
        metric: int,
        hops: Sequence[NextHop] = (),
    ) -> None:
        ways = [
            (h.gateway, (self._indexes.of(ns, h.device) or 0) if h.device else 0, h.weight, False)
            for h in hops
            if not metric and ":" not in to
        ]
        # of a route over a device that has gone, nobody knows what the kernel has left
        known = all(index or not h.device for (_, index, _, _), h in zip(ways, hops, strict=False))
        self._queue.delete(ns, routes.del_route(to, kind, table, metric, ways if known else ()))

    def add_rule(self, ns: str, family: int, options: Options) -> None:
        self._queue.add(ns, routes.new_rule(family, options), OPTIONS[f"rules IPv{family}"])

    def del_rule(self, ns: str, family: int, options: Options) -> None:
        self._queue.delete(ns, routes.del_rule(family, options))

    def add_neighbour(self, ns: str, name: str, to: str, mac: str, proxy: bool) -> None:
        self._queue.add(ns, addresses.new_neighbour(self._index(ns, name), to, mac, proxy))

    def del_neighbour(self, ns: str, name: str, to: str, proxy: bool) -> None:
        if index := self._indexes.of(ns, name):
            self._queue.delete(ns, addresses.del_neighbour(index, to, proxy))

    def set_sysctl(self, ns: str, name: str, value: str) -> None:
        self._queue.add(ns, lambda: baseline.write(name, value))

    def reset_sysctl(self, ns: str, name: str, otherwise: str = "") -> None:
        value = otherwise or self._fresh_value(name)
        if value is not None:
            self._queue.delete(ns, lambda: baseline.write(name, value))

    def set_rules(self, ns: str, before: str, after: str) -> None:
        from netlab.kernel import rules

        self._queue.add(ns, lambda: rules.change(before, after), "CONFIG_NF_TABLES")

    # what a process in a node sees

    def write_entry(self, ns: str, entry: str) -> None:
        self._queue.add("", lambda: files.write(self._entry(ns), entry))

    def write_hosts(self, lab: str, text: str) -> None:
        self._queue.add("", lambda: files.write(self._hosts, text))

    def start_supervisor(self, lab: str) -> None:
        self._queue.add("", lambda: self._programs.open())

    def start_process(self, ns: str, name: str, spec: str, turn: int) -> None:
        from netlab.kernel.programs import Wanted, parsed

        run = self._queue.turn(turn, starts=True)
        node, inode = ns.partition(".")[2], self._namespaces.identity(ns) or 0
        run.start.append(Wanted(self._queue.token, node, name, inode, parsed(spec)))

    def set_process(self, ns: str, name: str, spec: str) -> None:
        from netlab.kernel.programs import parsed

        node = ns.partition(".")[2]
        self._queue.add("", lambda: self._programs.set(node, name, parsed(spec)))

    def run(self, ns: str, command: str) -> None:
        op = Op(self._queue.token, lambda: self._run_line(ns, command))
        self._queue.run(Commands).ops.append(op)

    def _index(self, ns: str, name: str) -> int:
        """Where there is no such device, the request that needs it will be refused for that."""

        def missing() -> None:
            raise OSError(errno.ENODEV, f"there is no device {name} in {ns} any more")

        index = self._indexes.of(ns, name)
        if index is None:
            self._queue.add(ns, missing)
        return index or 0

    def _run_line(self, ns: str, command: str) -> None:
        node = ns.partition(".")[2]
        path, inode = f"{self._netns}/{ns}", self._namespaces.identity(ns)
        code, said = enter.run_line(
            self._lab_dir, path, node, command, self._should_stop, inode
        )
        if code:
            tail = "\n".join(said.rstrip().splitlines()[-SAID_LINES:])
            raise CommandFailed(f"{_ended(code)}" + (f"; it said:\n{tail}" if tail else ""))

    def _fresh_value(self, name: str) -> str | None:
        """What a fresh namespace has there; None where it has no such switch."""
        if name not in self._fresh:
            self._fresh[name] = self._worker.call(lambda: self._read_fresh(name)) or ""
        return self._fresh[name] or None

    def _read_fresh(self, name: str) -> str:
        os.close(self._worker.unshare())
        for sysctl, value in baseline.differing().items():
            baseline.write(sysctl, value)
        with suppress(OSError, ValueError):
            return baseline.read(baseline.any_device(name))
        return ""


def _ended(code: int) -> str:
    return f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"
