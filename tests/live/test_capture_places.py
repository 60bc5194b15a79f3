"""netlab capture, where interfaces are of other kinds, come, go and change while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.live.capturing import CHAIN, capturing, grows_to, inside, send, written
from tests.live.conftest import Write
from tests.live.world import done, eventually, ip
from tests.trace.reader import link_type

PAIR = 'nodes: {h1: , h2: }\nlinks: [["h1:eth0 10.0.0.1/24", "h2:eth0 10.0.0.2/24"]]\n'
PORT = 4711

TAGGED = """\
import socket
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind(('eth0', 0))
ip = bytes.fromhex('450000200001000040110000010203040506070800010002000c0000')
for tag in ('8100', '88a8'):
    for number in ('0005', '2006'):
        head = bytes.fromhex('ffffffffffff020000000001' + tag + number + '0800')
        sock.send(head + ip + b'mark' + b'.' * 20)
"""
"""Four frames, each with a VLAN tag: 5 and 6, of both kinds."""

INTO_TUN = """\
import fcntl, os, struct
fd = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack('=16sH22x', b'tun0', 0x1001))
os.write(fd, bytes.fromhex('4500001c00010000401100000a0800020a0800010001000200080000'))
"""
"""A UDP packet without data comes in by tun0."""


def test_a_vlan_tag_is_where_it_was_sent_at_both_ends(
    write: Write, lab: str, tmp_path: Path
) -> None:
    """h1 ── h2: what h2 takes in, its kernel has taken the tag out of"""
    done("up", write(PAIR))
    path = tmp_path / "x.pcapng"
    for words, frames in (("vlan", 8), ("vlan 6 and udp", 4), ("vlan 5 and host 1.2.3.4", 4)):
        with capturing(lab, "-w", path, words) as capture:
            inside(lab, "h1", "python3", "-c", TAGGED)
            grows_to(path, frames)
            capture.end(signal.SIGTERM)
        packets = written(path).packets
        assert len(packets) == frames
        tags = [packet.data[12:18].hex() for packet in packets]
        wanted = [f"{tag}{number}0800" for tag in ("8100", "88a8") for number in ("0005", "2006")]
        some = [tag for tag in wanted if frames == 8 or (tag[7] == "6") == ("6" in words)]
        assert tags == [tag for tag in some for _ in range(2)]
        assert {packet.data[18:].find(b"mark") for packet in packets} == {28}


def test_a_tun_device_has_packets_without_a_link_header(
    write: Write, lab: str, tmp_path: Path
) -> None:
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("needs /dev/net/tun")
    done("up", write("nodes: {n: {interfaces: {tun0: {kind: tun, addresses: [10.8.0.1/24]}}}}\n"))
    path = tmp_path / "x.pcapng"
    with capturing(lab, "n:tun0", "-w", path, "-c", "1", "src port 1 and dst host n") as capture:
        inside(lab, "n", "python3", "-c", INTO_TUN)
        assert capture.wait().code == 0
    file = written(path)
    (interface,) = file.interfaces
    assert (link_type(interface), interface.text(2)) == (101, "n:tun0")
    assert file.packets[0].data[:1] + file.packets[0].data[12:20] == bytes.fromhex(
        "450a0800020a080001")  # fmt: skip
    with capturing(lab, "n:tun0", "-c", "1") as capture:
        inside(lab, "n", "python3", "-c", INTO_TUN)
        capture.wait()
    assert capture.lines[0].endswith("n:tun0  in     IP 10.8.0.2.1 > n.2: UDP, length 0")


def test_a_packet_to_oneself_is_told_once(write: Write, lab: str) -> None:
    done("up", write(PAIR))
    with capturing(lab, "-c", "2", "icmp") as capture:
        inside(lab, "h1", "ping", "-c", "1", "127.0.0.1")
        capture.wait()
    words = [line.split()[1:6] for line in capture.lines]
    assert words == [["h1:lo", "in", "IP", "127.0.0.1", ">"]] * 2


def test_an_interface_that_comes_is_listened_at_and_one_that_goes_is_not_missed(
    write: Write, lab: str, tmp_path: Path
) -> None:
    """h1 ── h2, and between them for a while another cable"""
    done("up", write(PAIR))
    path = tmp_path / "x.pcapng"
    one, other = f"{lab}.h1", f"{lab}.h2"
    with capturing(lab, "-w", path, "udp") as capture:
        for turn, address in ((1, "10.7.1"), (2, "10.7.2")):
            ip(one, "link", "add", "more", "type", "veth", "peer", "name", "more", "netns", other)
            for ns, host in ((one, 1), (other, 2)):
                ip(ns, "address", "add", f"{address}.{host}/24", "dev", "more")
                ip(ns, "link", "set", "more", "up")
            eventually(lambda turn=turn: listened_at(path, "h2:more") == turn)
            eventually(lambda turn=turn: listened_at(path, "h1:more") == turn)
            send(lab, "h1", f"{address}.2", PORT)
            grows_to(path, 2 * turn)
            ip(one, "link", "del", "more")
            eventually(lambda: idle(capture.program.pid))
        send(lab, "h1", "10.0.0.2", PORT)
        grows_to(path, 6)
        assert capture.end(signal.SIGTERM).code == 0
    file = written(path)
    names = [file.interface_names[packet.interface] for packet in file.packets]
    assert names == ["h1:more", "h2:more"] * 2 + ["h1:eth0", "h2:eth0"]
    assert len({packet.interface for packet in file.packets}) == 6


def listened_at(path: Path, name: str) -> int:
    """How often it was begun to listen at an interface of that name."""
    return written(path).interface_names.count(name)


def idle(pid: int) -> bool:
    """Whether it waits, and does not go round in a circle."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0] == "S"


def test_a_device_that_is_switched_off_and_on_goes_on(
    write: Write, lab: str, tmp_path: Path
) -> None:
    done("up", write(PAIR))
    path = tmp_path / "x.pcapng"
    with capturing(lab, "h2:eth0", "-w", path, "udp") as capture:
        send(lab, "h1", "10.0.0.2", PORT)
        grows_to(path, 1)
        ip(f"{lab}.h2", "link", "set", "eth0", "down")
        ip(f"{lab}.h2", "link", "set", "eth0", "up")
        eventually(lambda: ip(f"{lab}.h1", "link", "show", "eth0")[0]["operstate"] == "UP")
        eventually(lambda: idle(capture.program.pid))
        inside(lab, "h1", "ping", "-c", "1", "-W", "3", "10.0.0.2")
        send(lab, "h1", "10.0.0.2", PORT)
        grows_to(path, 2)
        capture.end(signal.SIGTERM)
    assert written(path).interface_names == ["h2:eth0"]
    assert written(path).counts == {"h2:eth0": (2, 0)}


def test_a_node_that_comes_with_the_file_is_listened_in(
    write: Write, lab: str, tmp_path: Path
) -> None:
    """h1 ── h2, then h3 beside them, then no h3"""
    file = write(PAIR)
    done("up", file)
    path = tmp_path / "x.pcapng"
    more = PAIR.replace("h2: }", "h2: , h3: }").replace(
        "]]", '], ["h1:eth1 10.3.0.1/24", "h3:eth0 10.3.0.3/24"]]')  # fmt: skip
    with capturing(lab, "-w", path, "icmp") as capture:
        file.write_text(more)
        done("up", file)
        # until it listens there, nobody knows whether the packets have been missed
        def answers_are_seen() -> bool:
            inside(lab, "h1", "ping", "-c", "1", "-W", "3", "10.3.0.3")
            return "h3:eth0" in written(path).interface_names

        eventually(answers_are_seen, 20)
        file.write_text(PAIR)
        done("up", file)
        inside(lab, "h1", "ping", "-c", "1", "-W", "3", "10.0.0.2")
        assert capture.program.poll() is None
        capture.end(signal.SIGTERM)
    assert {"h1:eth1", "h3:eth0", "h1:eth0"} <= set(written(path).interface_names)


def test_a_lab_that_goes_down_ends_it(write: Write, lab: str, tmp_path: Path) -> None:
    done("up", write(CHAIN))
    path = tmp_path / "x.pcapng"
    with capturing(lab, "-w", path, "udp") as capture:
        send(lab, "h1", "10.0.1.1", PORT)
        grows_to(path, 4)
        done("down", lab, "--wait")
        assert capture.wait().code == 0
    assert len(written(path).packets) == 4
    assert capture.said[0].endswith("; the lab has gone")


def test_a_namespace_that_was_deleted_is_told(write: Write, lab: str) -> None:
    done("up", write(CHAIN))
    subprocess.run(["ip", "netns", "del", f"{lab}.r"], check=True)
    with capturing(lab, "--duration", "50ms") as capture:
        capture.wait()
    assert capture.said[1:] == ["  r is gone: somebody deleted its namespace"]
