"""The real kernel: requests queued by namespace, sent in large batches, refusals told apart."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property, partial
from socket import socket
from typing import TYPE_CHECKING, TypeVar

from netlab.errors import UNWRITABLE, CommandFailed, KernelRefused, unwritable
from netlab.kernel import addresses, baseline, enter, ethtool, links, routes, tuntap
from netlab.kernel.fresh import Stock, most_fresh, most_open, raise_limit
from netlab.kernel.indexes import Indexes
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.options import OPTIONS
from netlab.kernel.queues import (
    Act,
    Commands,
    Links,
    Names,
    Nodes,
    Op,
    Pair,
    Run,
    Turn,
    perform,
    refused,
    send,
)
from netlab.kernel.values import NextHop, Options, VethEnd
from netlab.kernel.wire import open_socket
from netlab.kernel.worker import Job, Worker

if TYPE_CHECKING:
    from netlab.kernel.programs import Programs

T = TypeVar("T")
RunT = TypeVar("RunT", Nodes, Links, Names, Turn, Commands)

FEW = 8
"""Namespaces that are not worth two threads."""

SAID_LINES = 20
"""How much of a failed command's output is worth showing."""


class NetlinkKernel:
    """A ``Kernel``; ``should_stop`` is asked while a program of the topology runs."""

    def __init__(
        self,
        lab: str,
        *,
        state: str = enter.STATE,
        netns: str = enter.NETNS,
        should_stop: Callable[[], bool] = lambda: False,
        stock: Stock | None = None,
    ) -> None:
        """``stock`` holds namespaces made ahead; it is closed by whoever made it."""
        self._lab_dir = f"{state}/{lab}"
        self._netns = netns
        self._should_stop = should_stop
        self._worker = Worker()
        raise_limit()
        self._namespaces = Namespaces(netns, self._worker, stock)
        self._indexes = Indexes(self._namespaces, self._worker)
        self._inodes: dict[str, int] = {}
        self._lab, self._state = lab, state
        self._runs: list[Run] = []
        self._token: object = None
        self._naming: list[Job[None]] = []
        self._base: socket | None = None
        self._fresh: dict[str, str] = {}

    @cached_property
    def _programs(self) -> Programs:
        """Loaded for labs that have processes only."""
        from netlab.kernel.programs import Programs

        names = self._namespaces
        return Programs(
            self._lab, self._state, self._netns, self._worker, names, lambda: self._should_stop()
        )

    def close(self) -> None:
        if self._base is not None:
            self._base.close()
        with suppress(KernelRefused):  # it hangs, which has been said
            self._worker.call(self._namespaces.close)
        self._worker.close()

    def begin(self, token: object) -> None:
        self._token = token

    def flush(self) -> None:
        runs, self._runs = self._runs, []
        try:
            try:
                for run in runs:
                    self._do(run)
            finally:
                self._all_named()  # also when something else fails: it came first
        except BaseException:
            self._indexes.doubt()  # what was chosen and forgotten ahead may not have come true
            raise

    def _do(self, run: Run) -> None:
        match run:
            case Nodes():
                self._do_nodes(run.ops)
            case Links():
                self._worker.call(lambda: self._do_links(run))
                self._do_nodes(run.after)
            case Names():
                self._do_names(run)
                self._do_nodes(run.after)
            case Turn():
                self._all_named()
                self._do_turn(run)
            case Commands():
                self._all_named()
                self._do_commands(run.ops)

    def insist(self) -> None:
        self._should_stop = lambda: False

    # namespaces

    def most_namespaces(self) -> int:
        return most_fresh()

    def make_namespaces(self, names: Sequence[str]) -> Mapping[str, int]:
        try:
            made = self._worker.call(lambda: self._namespaces.make(names))
        except OSError as problem:
            option = "CONFIG_NET_NS"
            raise refused(Op(self._token, _nothing, option=option), *_said(problem)) from problem
        self.own(made)
        for ns in made:
            self._indexes.fresh(ns)
        return made

    def add_namespace(self, ns: str) -> None:
        run = self._run(Names)
        run.add.append(Op(self._token, lambda: self._namespaces.name(ns)))
        run.after.setdefault(ns, []).append(Op(self._token, links.set_up(1, True)))

    def del_namespace(self, ns: str) -> None:
        run = self._run(Names)
        run.take.append(ns)
        run.token = self._token

    def own(self, inodes: Mapping[str, int]) -> None:
        self._inodes.update(inodes)
        self._namespaces.own(inodes)

    # devices

    def add_veth(self, a: VethEnd, b: VethEnd) -> None:
        a_index = self._indexes.choose(a.ns, a.name)
        b_index = self._indexes.choose(b.ns, b.name)
        run = self._run(Links)
        run.pairs.append(Pair(self._token, a, a_index, b, b_index))
        if b.up:
            up = Op(self._token, links.set_up(b_index, True))
            run.after.setdefault(b.ns, []).append(up)

    def add_device(
        self, ns: str, name: str, kind: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        index = self._indexes.choose(ns, name)
        request = links.new_device(name, index, kind, mac, mtu, up, options)
        self._add(ns, request, OPTIONS.get(kind, ""))

    def add_tun(
        self, ns: str, name: str, mode: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        index = self._indexes.choose(ns, name)
        self._add(ns, lambda: tuntap.add(name, mode, index, options), OPTIONS["tun"])
        if mac:
            self._add(ns, links.set_mac(index, mac))
        if mtu:
            self._add(ns, links.set_mtu(index, mtu))
        if up:
            self._add(ns, links.set_up(index, True))

    def set_device(self, ns: str, name: str, kind: str, options: Options) -> None:
        self._add(ns, links.set_device(self._index(ns, name), kind, options))

    def set_mtu(self, ns: str, name: str, mtu: int) -> None:
        self._add(ns, links.set_mtu(self._index(ns, name), mtu))

    def del_device(self, ns: str, name: str) -> None:
        if index := self._indexes.of(ns, name):
            self._delete(ns, links.del_link(index))
            self._indexes.forget(ns, name)

    def set_offload(self, ns: str, name: str, feature: str, on: bool) -> None:
        self._add(ns, lambda: ethtool.set_offload(name, feature, on))

    # bridges

    def set_master(self, ns: str, name: str, master: str) -> None:
        if master:
            request = links.set_master(self._index(ns, name), self._index(ns, master))
            self._add(ns, request)
        elif index := self._indexes.of(ns, name):
            self._delete(ns, links.set_master(index, 0))

    def set_port(self, ns: str, name: str, options: Options) -> None:
        self._add(ns, links.set_port(self._index(ns, name), options))

    def add_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        self._add(ns, addresses.new_fdb(self._index(ns, name), mac, remote))

    def del_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        if index := self._indexes.of(ns, name):
            self._delete(ns, addresses.del_fdb(index, mac, remote))

    # layer 3

    def add_address(self, ns: str, name: str, cidr: str, peer: str) -> None:
        self._add(ns, addresses.new_address(self._index(ns, name), cidr, peer))

    def del_address(self, ns: str, name: str, cidr: str, peer: str) -> None:
        if index := self._indexes.of(ns, name):
            self._delete(ns, addresses.del_address(index, cidr, peer))

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
        self._add(ns, routes.new_route(to, ways, kind, table, metric, source, replace))

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
        self._delete(ns, routes.del_route(to, kind, table, metric, ways if known else ()))

    def add_rule(self, ns: str, family: int, options: Options) -> None:
        self._add(ns, routes.new_rule(family, options), OPTIONS[f"rules IPv{family}"])

    def del_rule(self, ns: str, family: int, options: Options) -> None:
        self._delete(ns, routes.del_rule(family, options))

    def add_neighbour(self, ns: str, name: str, to: str, mac: str, proxy: bool) -> None:
        self._add(ns, addresses.new_neighbour(self._index(ns, name), to, mac, proxy))

    def del_neighbour(self, ns: str, name: str, to: str, proxy: bool) -> None:
        if index := self._indexes.of(ns, name):
            self._delete(ns, addresses.del_neighbour(index, to, proxy))

    def set_sysctl(self, ns: str, name: str, value: str) -> None:
        self._add(ns, lambda: baseline.write(name, value))

    def reset_sysctl(self, ns: str, name: str, otherwise: str = "") -> None:
        value = otherwise or self._fresh_value(name)
        if value is not None:
            self._delete(ns, lambda: baseline.write(name, value))

    def set_rules(self, ns: str, before: str, after: str) -> None:
        from netlab.kernel import rules

        self._add(ns, lambda: rules.change(before, after), "CONFIG_NF_TABLES")

    # what a process in a node sees

    def write_entry(self, ns: str, entry: str) -> None:
        self._add("", lambda: _write(self._entry(ns), entry))

    def del_entry(self, ns: str) -> None:
        self._add("", lambda: _remove(self._entry(ns)))

    def write_hosts(self, lab: str, text: str) -> None:
        self._add("", lambda: _write(f"{self._lab_dir}/hosts", text))

    def del_hosts(self, lab: str) -> None:
        self._add("", lambda: _remove(f"{self._lab_dir}/hosts"))

    def start_supervisor(self, lab: str) -> None:
        self._add("", lambda: self._programs.open())

    def stop_supervisor(self, lab: str) -> None:
        self._add("", lambda: self._programs.close())

    def start_process(self, ns: str, name: str, spec: str, turn: int) -> None:
        from netlab.kernel.programs import Wanted, parsed

        run = self._turn(turn, starts=True)
        node, inode = ns.partition(".")[2], self._inodes.get(ns, 0)
        run.start.append(Wanted(self._token, node, name, inode, parsed(spec)))

    def set_process(self, ns: str, name: str, spec: str) -> None:
        from netlab.kernel.programs import parsed

        node = ns.partition(".")[2]
        self._add("", lambda: self._programs.set(node, name, parsed(spec)))

    def stop_process(self, ns: str, name: str, turn: int, forget: bool = True) -> None:
        run = self._turn(turn, starts=False, forget=forget)
        run.stop.append((ns.partition(".")[2], name))
        run.token = self._token

    def run(self, ns: str, command: str) -> None:
        self._run(Commands).ops.append(Op(self._token, lambda: self._run_line(ns, command)))

    # queues

    def _add(self, ns: str, act: Act, option: str = "") -> None:
        op = Op(self._token, act, False, option)
        self._run(Nodes).ops.setdefault(ns, []).append(op)

    def _delete(self, ns: str, act: Act) -> None:
        self._run(Nodes).ops.setdefault(ns, []).append(Op(self._token, act, True))

    def _run(self, kind: type[RunT]) -> RunT:
        """The last run if it is of that kind, else a new one."""
        last = self._runs[-1] if self._runs else None
        if isinstance(last, kind):
            return last
        run = kind()
        if isinstance(last, Links | Names) and isinstance(run, Nodes):
            run.ops, last.after = last.after, {}
        self._runs.append(run)
        return run

    def _turn(self, number: int, *, starts: bool, forget: bool = True) -> Turn:
        """The last run if it is of that turn and direction, else a new one."""
        last = self._runs[-1] if self._runs else None
        if (
            isinstance(last, Turn)
            and (last.number, last.forget) == (number, forget)
            and not (last.stop if starts else last.start)
        ):
            return last
        run = Turn(number, forget=forget)
        self._runs.append(run)
        return run

    def _index(self, ns: str, name: str) -> int:
        """Where there is no such device, the request that needs it will be refused for that."""

        def missing() -> None:
            raise OSError(errno.ENODEV, f"there is no device {name} in {ns} any more")

        index = self._indexes.of(ns, name)
        if index is None:
            self._add(ns, missing)
        return index or 0

    def _entry(self, ns: str) -> str:
        return f"{self._lab_dir}/nodes/{ns.partition('.')[2]}.json"

    # runs; all but the commands in the worker's thread

    def _do_nodes(self, ops: Mapping[str, list[Op]]) -> None:
        """Namespaces do not wait for each other; those of the first half are told of first."""
        self._share(list(ops.items()), self._do_some)

    def _share(self, subjects: list[T], act: Callable[[list[T]], object]) -> None:
        """Between two threads, where there are many."""
        half = -(-len(subjects) // 2) if len(subjects) > FEW else len(subjects)
        parts = [part for part in (subjects[:half], subjects[half:]) if part]
        self._worker.share([partial(act, part) for part in parts])

    def _do_some(self, nodes: Iterable[tuple[str, list[Op]]]) -> None:
        for ns, some in nodes:
            try:
                self._do_node(ns, some)
            except FileNotFoundError as problem:
                lasting = next((op for op in some if not op.deletes), None)
                if lasting is not None:
                    gone = f"namespace {ns} has been deleted by somebody else"
                    raise refused(lasting, errno.ENOENT, gone) from problem
            except KernelRefused as problem:
                problem.token = problem.token or some[0].token
                raise

    def _do_node(self, ns: str, some: Sequence[Op]) -> None:
        calls = any(callable(op.act) for op in some)
        messages = any(not callable(op.act) for op in some)
        with ExitStack() as stack:
            sock = stack.enter_context(self._namespaces.socket(ns)) if messages else None
            if calls and ns:
                stack.enter_context(self._namespaces.inside(ns))
            perform(some, sock)

    def _do_links(self, run: Links) -> None:
        fds: dict[str, int] = {}
        ops: list[Op] = []
        base, most = self._base_socket(), most_open()
        try:
            for pair in run.pairs:
                ops.append(self._veth(pair, fds))
                if len(fds) >= most - 1:
                    send(ops, base)
                    _close_all(fds)
                    ops.clear()
            send(ops, base)
        finally:
            _close_all(fds)

    def _veth(self, pair: Pair, fds: dict[str, int]) -> Op:
        for ns in (pair.a.ns, pair.b.ns):
            if ns not in fds:
                fds[ns] = self._open(ns, pair.token)
        a, b = pair.a, pair.b
        request = links.new_veth(a, pair.a_index, fds[a.ns], b, pair.b_index, fds[b.ns])
        return Op(pair.token, request, option=OPTIONS["veth"])

    def _open(self, ns: str, token: object) -> int:
        try:
            return self._namespaces.open(ns)
        except FileNotFoundError as problem:
            gone = f"namespace {ns} has been deleted by somebody else"
            raise refused(Op(token, _nothing), errno.ENOENT, gone) from problem

    def _base_socket(self) -> socket:
        """In a namespace without devices: a link's chosen index is looked up there as well."""
        if self._base is None:
            os.close(self._worker.unshare())
            self._base = open_socket()
        return self._base

    def _do_names(self, run: Names) -> None:
        """Names are given while the namespaces are already being filled."""
        if run.take:
            self._all_named()
            try:
                self._worker.call(lambda: self._namespaces.take(run.take))
            except OSError as problem:
                raise refused(Op(run.token, _nothing), *_said(problem)) from problem
            except KernelRefused as problem:
                problem.token = run.token
                raise
        if run.add:
            self._naming.append(self._worker.begin(lambda: self._name(run.add)))

    def _name(self, ops: Sequence[Op]) -> None:
        for op in ops:
            try:
                perform([op], None)
            except KernelRefused as problem:
                problem.token = problem.token or op.token
                raise

    def _all_named(self) -> None:
        naming, self._naming = self._naming, []
        for job in naming:
            self._worker.wait(job)

    def _do_turn(self, run: Turn) -> None:
        try:
            if run.stop:
                self._programs.stop(run.stop, forget=run.forget)
            if run.start:
                self._programs.start(run.start)
        except KernelRefused as problem:
            problem.token = problem.token or run.token or next(w.token for w in run.start)
            raise

    def _do_commands(self, ops: Iterable[Op]) -> None:
        for op in ops:
            assert callable(op.act)
            try:
                op.act()
            except CommandFailed as failure:
                failure.token = op.token
                raise

    def _run_line(self, ns: str, command: str) -> None:
        node = ns.partition(".")[2]
        path, inode = f"{self._netns}/{ns}", self._inodes.get(ns)
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


def _close_all(fds: dict[str, int]) -> None:
    while fds:
        os.close(fds.popitem()[1])


def _nothing() -> None:
    """Stands for a request that never got as far as being one."""


def _said(problem: OSError) -> tuple[int, str]:
    return problem.errno or 0, problem.strerror or str(problem)


def _ended(code: int) -> str:
    return f"killed by signal {code - 128}" if code > 128 else f"exit code {code}"


def _write(path: str, text: str) -> None:
    """At once or not at all. Raises StateRefused on a full disk."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w", newline="") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    except OSError as problem:
        _remove(f"{path}.new")
        if problem.errno not in UNWRITABLE:
            raise
        raise unwritable(path, problem) from problem


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
