"""netlab capture: all interfaces of a lab in one order of time, and the ways in which it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from struct import unpack

import pytest

from tests.live.capturing import CHAIN, capturing, grows_to, inside, send, written
from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, done, eventually, netlab, program
from tests.trace.reader import read

WAY = ["h1:eth0", "r:a", "r:b", "h2:eth0"]
PORT = 4711


@pytest.fixture
def chain(write: Write, lab: str) -> str:
    """h1 ── r ── h2, each knows the other's MAC already"""
    done("up", write(CHAIN))
    inside(lab, "h1", "ping", "-c", "1", "-W", "2", "10.0.1.1")
    return lab


def test_a_packet_is_seen_at_every_interface_in_the_order_of_its_way(
    chain: str, tmp_path: Path
) -> None:
    path = tmp_path / "all.pcapng"
    with capturing(chain, "-w", path, "udp", "port", str(PORT)) as capture:
        send(chain, "h1", "10.0.1.1", PORT, count=50)
        grows_to(path, 200)
        assert capture.end(signal.SIGTERM).code == 0
    file = written(path)
    assert file.times == sorted(file.times)
    assert len(set(file.interface_names)) == len(file.interface_names)
    marks = [p.data[42:46] for p in file.packets]
    for number in range(50):
        own = [n for n, mark in enumerate(marks) if mark == number.to_bytes(4, "big")]
        assert [file.interface_names[file.packets[n].interface] for n in own] == WAY
    directions = [p.flags & 3 for p in file.packets if p.data[42:46] == bytes(4)]
    assert directions == [2, 1, 2, 1]
    assert {name: file.counts[name] for name in WAY} == dict.fromkeys(WAY, (50, 0))
    assert file.names["10.0.0.1"] == ["h1"]
    assert file.section.text(1) == f"lab {chain}, from {tmp_path}/{chain}.yaml"
    about = {i.text(2): i.text(3) for i in file.interfaces}
    assert about["r:a"] == "router r, to h1:eth0"
    assert capture.said[0].startswith("200 packets in ")
    assert capture.said[0].endswith(f", none lost: {path}, {path.stat().st_size / 1000:.1f} KB")


def test_wireshark_has_nothing_to_complain_of(chain: str, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    path = tmp_path / "all.pcapng"
    with capturing(chain, "-w", path, "icmp") as capture:
        inside(chain, "h1", "ping", "-c", "2", "-i", "0.01", "10.0.1.1")
        grows_to(path, 16)
        capture.end(signal.SIGTERM)
    fields = ("frame.interface_name", "ip.src_host", "ip.dst_host", "icmp.type", "icmp.seq")
    options = [word for name in fields for word in ("-e", name)]
    told = subprocess.run(
        ["tshark", "-r", str(path), "-N", "n", "-T", "fields", *options, "-E", "occurrence=f"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    one = [[name, "h1", "h2", "8"] for name in ("h1:eth0", "r:a", "r:b", "h2:eth0")]
    one += [[name, "h2", "h1", "0"] for name in ("h2:eth0", "r:b", "r:a", "h1:eth0")]
    expected = ["\t".join([*row, str(n)]) for n in (1, 2) for row in one]
    assert told == expected
    about = subprocess.run(
        ["capinfos", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert "Strict time order:   True" in about
    assert "Number of packets:   16" in about


def test_a_count_ends_it_with_the_first_packets_of_all(chain: str, tmp_path: Path) -> None:
    path = tmp_path / "some.pcapng"
    with capturing(chain, "-w", path, "--count", "6", "udp") as capture:
        send(chain, "h1", "10.0.1.1", PORT, count=100)
        assert capture.wait().code == 0
    file = written(path)
    assert [file.interface_names[p.interface] for p in file.packets[:2]] == ["h1:eth0", "r:a"]
    assert (len(file.packets), file.times) == (6, sorted(file.times))


def test_a_duration_ends_it(chain: str, tmp_path: Path) -> None:
    path = tmp_path / "none.pcapng"
    with capturing(chain, "-w", path, "--duration", "100ms", "udp") as capture:
        assert capture.wait().code == 0
    assert written(path).packets == []
    assert set(WAY) <= set(written(path).counts)
    assert capture.said[0].startswith("0 packets in ")


def test_without_a_file_there_is_a_line_a_packet(chain: str) -> None:
    with capturing(chain, "h1", "r:b", "--count", "4", "--", "icmp") as capture:
        inside(chain, "h1", "ping", "-c", "1", "10.0.1.1")
        assert capture.wait().code == 0
    lines = [line.split("  ", 1)[1] for line in capture.lines]
    request, reply = (f"ICMP echo {word}, id" for word in ("request", "reply"))
    assert [line[: line.index("id") + 2] for line in lines] == [
        f"h1:eth0  out    IP h1 > h2: {request}",
        f"r:b      out    IP h1 > h2: {request}",
        f"r:b      in     IP h2 > h1: {reply}",
        f"h1:eth0  in     IP h2 > h1: {reply}",
    ]
    assert capture.err.startswith(b"capturing on h1:lo, h1:eth0, r:b; Ctrl-C ends it\n")


def test_lines_may_be_for_programs(chain: str) -> None:
    with capturing(chain, "h2", "-n", "--json", "--count", "1", f"udp dst port {PORT}") as capture:
        send(chain, "h1", "10.0.1.1", PORT)
        assert capture.wait().code == 0
    (seen,) = map(json.loads, capture.lines)
    assert (seen["node"], seen["interface"], seen["direction"], seen["to"]) == (
        "h2", "eth0", "in", "host")  # fmt: skip
    assert (seen["source"], seen["source_node"], seen["destination_node"]) == (
        "10.0.0.1", "h1", "h2")  # fmt: skip
    assert seen["text"].endswith(f" > 10.0.1.1.{PORT}: UDP, length 4")


def test_how_it_went_may_be_for_programs(chain: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with capturing(chain, "h2:eth0", "-w", path, "--json", "--count", "2", "udp") as capture:
        send(chain, "h1", "10.0.1.1", PORT, count=2)
        capture.wait()
    told = json.loads(capture.out)
    assert (told["packets"], told["lost"], told["ended_by"]) == (2, 0, "count")
    assert (told["files"], told["bytes"]) == ([str(path)], path.stat().st_size)
    assert [i["interface"] for i in told["interfaces"]] == ["eth0"]
    assert capture.said == []


def test_standard_output_is_a_file_for_others(chain: str) -> None:
    with capturing(chain, "-w", "-", "--count", "4", "udp") as capture:
        send(chain, "h1", "10.0.1.1", PORT)
        assert capture.wait().code == 0
    file = read(capture.out)
    assert [file.interface_names[p.interface] for p in file.packets] == WAY


def test_tshark_reads_it_while_it_goes_on(chain: str) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    with capturing(chain, "-w", "-", "icmp") as capture:
        words = ["tshark", "-l", "-r", "-", "-T", "fields", "-e", "frame.interface_name"]
        reader = subprocess.Popen(
            words, stdin=capture.program.stdout, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert reader.stdout
        inside(chain, "h1", "ping", "-c", "1", "10.0.1.1")
        told = [reader.stdout.readline().strip() for _ in range(8)]
        reader.kill()
        reader.communicate()
        inside(chain, "h1", "ping", "-c", "1", "10.0.1.1")
        assert capture.program.stdout
        capture.program.stdout.close()
        assert capture.program.wait(10) == 141
    assert told == [*WAY, *reversed(WAY)]


@pytest.mark.parametrize("written_as", ["lines", "a file"])
def test_a_reader_that_goes_away_ends_it_without_a_packet(chain: str, written_as: str) -> None:
    words = ["-w", "-"] if written_as == "a file" else []
    with capturing(chain, *words, "tcp port 1") as capture:
        assert capture.program.stdout and capture.program.stderr
        capture.program.stdout.close()
        assert capture.program.wait(10) == 141
        said = capture.program.stderr.read().decode()
    assert said.startswith("0 packets in ")
    assert said.endswith(", none lost; nobody reads any more\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_whole(chain: str, tmp_path: Path, number: int) -> None:
    path = tmp_path / "x.pcapng"
    with capturing(chain, "-w", path, "udp") as capture:
        send(chain, "h1", "10.0.1.1", PORT)
        capture.end(number)  # at once: what has come is still written
    assert capture.code == 0
    assert len(written(path).packets) == 4
    with capturing(chain, "-w", path, "--duration", "10min") as capture:
        assert capture.end(number).code == 130
    assert set(WAY) <= set(written(path).counts)


def test_files_follow_each_other(chain: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.pcapng"
    with capturing(
        chain, "h2:eth0", "-w", path, "--rotate-size", "4K", "--files", "3", "udp"
    ) as capture:
        send(chain, "h1", "10.0.1.1", PORT, count=200, size=60)
        eventually(lambda: (tmp_path / "lab-00007.pcapng").exists())
        capture.end(signal.SIGTERM)
    kept = sorted(tmp_path.glob("lab-*.pcapng"))
    assert len(kept) == 3
    assert max(file.stat().st_size for file in kept) <= 4096
    numbers = [
        unpack(">I", p.data[42:46])[0] for file in kept for p in written(file).packets
    ]
    assert numbers == list(range(numbers[0], 200))
    assert {tuple(written(file).interface_names) for file in kept} == {("h2:eth0",)}
    assert f"{len(kept)} of them kept: " in capture.said[0]


def test_only_so_much_of_a_packet_is_kept(chain: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with capturing(chain, "h2:eth0", "-w", path, "-s", "60", "-c", "1", "udp") as capture:
        send(chain, "h1", "10.0.1.1", PORT, size=900)
        capture.wait()
    (packet,) = written(path).packets
    assert (len(packet.data), packet.length) == (60, 942)


def test_what_was_lost_is_counted_and_told(chain: str, tmp_path: Path) -> None:
    """It is stopped while more comes than its buffer holds."""
    path = tmp_path / "x.pcapng"
    with capturing(chain, "h2:eth0", "-w", path, "--buffer", "256K", "udp") as capture:
        os.kill(capture.program.pid, signal.SIGSTOP)
        send(chain, "h1", "10.0.1.1", PORT, count=5000)
        os.kill(capture.program.pid, signal.SIGCONT)
        grows_to(path, 1000)
        capture.end(signal.SIGTERM)
    file = written(path)
    came, lost = file.counts["h2:eth0"]
    assert (came, len(file.packets) + lost) == (5000, 5000)
    assert 1000 < lost < 4999
    assert f"{lost} lost" in capture.said[0]
    assert capture.said[1:] == [
        f"  lost at h2:eth0 {lost}",
        "  the machine was too slow for them; a filter, --snaplen or a larger --buffer helps",
    ]


def test_nothing_is_lost_of_a_burst_while_it_cannot_run(chain: str, tmp_path: Path) -> None:
    """The buffers that it has without being told are large enough for that."""
    path = tmp_path / "x.pcapng"
    with capturing(chain, "-w", path, "udp") as capture:
        os.kill(capture.program.pid, signal.SIGSTOP)
        send(chain, "h1", "10.0.1.1", PORT, count=20000)
        os.kill(capture.program.pid, signal.SIGCONT)
        capture.end(signal.SIGTERM)
    file = written(path)
    assert {name: file.counts[name] for name in WAY} == dict.fromkeys(WAY, (20000, 0))
    assert len(file.packets) == 80000
    assert file.times == sorted(file.times)
    assert capture.said[0].startswith("80000 packets in ")


def test_words_that_mean_nothing_are_told(chain: str, tmp_path: Path) -> None:
    def told(*words: str) -> tuple[int, str]:
        said = netlab("capture", chain, *words)
        return said.code, said.err

    assert told("hh1") == (
        5, f"lab {chain} has no node hh1; did you mean 'h1'?\n  it has h1, r, h2\n")  # fmt: skip
    assert told("r:c", "tcp") == (5, "r has no interface 'c'\n  it has lo, a, b\n")
    assert told("r", "tcp prot 80") == (
        2,
        "filter, column 5: expected `and` or `or` before 'prot'; did you mean 'proto'?\n"
        "  tcp prot 80\n      ^\n",
    )
    assert told("--", "prot", "80")[1].startswith("filter, column 1: 'prot' means nothing here; ")
    assert netlab("capture", "nosuchlab").code == 5
    assert told("-w", str(tmp_path / "no" / "x")) == (
        2, f"{tmp_path}/no/x: No such file or directory\n")  # fmt: skip


def test_other_users_may_not(chain: str) -> None:
    words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *NETLAB]
    said = subprocess.run(
        [*words, "capture", chain], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    if "netlab" not in said.stderr and said.returncode != 3:
        pytest.skip("another user may not read netlab's own files here")
    assert (said.returncode, said.stderr) == (
        3, "capturing packets needs root\n  run it with sudo\n")  # fmt: skip
    assert program("capture", chain, "--duration", "1ms").code == 0
