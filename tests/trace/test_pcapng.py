"""pcapng files: what is written is what another reader reads, ours and Wireshark's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from netlab.trace import pcapng
from tests.trace.frames import ethernet, ip, ip6, udp
from tests.trace.reader import Packet, link_type, number, read

NOW = 1_700_000_000_123_456_789
MAC = b"\2\0\0\0\0\1"
FRAME = ethernet(0x0800, ip(udp(1000, 2000, b"hello"), 17))


def test_a_file_holds_all_that_was_said() -> None:
    data = b"".join((
        pcapng.section("lab nat", "netlab 1", "Linux 6", "x86_64"),
        pcapng.interface(pcapng.ETHERNET, "gw:wan", "to web", MAC, "tcp", 96),
        pcapng.names({"10.0.0.1": ["gw", "gw.nat"], "fd00::1": ["gw"], "10.0.0.9": []}),
        pcapng.packet(0, NOW, FRAME, 1500, pcapng.OUTBOUND, ["first", "leaves by wan – für web"]),
        pcapng.interface(pcapng.RAW_IP, "gw:tun0"),
        pcapng.packet(1, NOW + 1, FRAME[14:], len(FRAME) - 14),
        pcapng.statistics(0, NOW + 2, NOW, NOW + 2, 1 << 33, 5),
    ))  # fmt: skip
    file = read(data)
    assert {code: file.section.text(code) for code in file.section.options} == {
        1: "lab nat", 2: "x86_64", 3: "Linux 6", 4: "netlab 1",
    }  # fmt: skip
    first, second = file.interfaces
    assert (link_type(first), number(first.body[4:8])) == (1, 96)
    assert (first.text(2), first.text(3)) == ("gw:wan", "to web")
    assert first.options[6] == [MAC]
    assert first.options[11] == [b"\0tcp"]
    assert (link_type(second), second.text(2), sorted(second.options)) == (101, "gw:tun0", [2, 9])
    assert file.names == {"10.0.0.1": ["gw", "gw.nat"], "fd00::1": ["gw"]}
    assert file.packets == [
        Packet(0, NOW, FRAME, 1500, 2, ["first", "leaves by wan – für web"]),
        Packet(1, NOW + 1, FRAME[14:], len(FRAME) - 14, 0, []),
    ]
    assert file.counts == {"gw:wan": (1 << 33, 5)}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.binary(max_size=70), some.integers(0, 4), some.integers(0, 2**63), some.integers(0, 9))
def test_many_at_once_are_as_one_by_one(data: bytes, sort: int, time: int, more: int) -> None:
    flags = {0: 5, 1: 13, 2: 9, 3: 17, 4: 2}
    frame = (time, 3, sort, len(data) + more, data)
    one = pcapng.packet(3, time, data, len(data) + more, flags[sort])
    assert pcapng.packets([frame, frame], flags) == one + one
    assert pcapng.size(len(data)) == len(one)


def test_a_text_that_is_too_long_is_cut_between_two_characters() -> None:
    file = read(pcapng.section("ä" * 40000))
    assert file.section.text(1) == "ä" * 32767


def told(tmp_path: Path, data: bytes, *command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    file = tmp_path / "some.pcapng"
    file.write_bytes(data)
    words = [word.replace("FILE", str(file)) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def some_file() -> bytes:
    v6 = ethernet(0x86DD, ip6(udp(1, 2, b"hi"), 17))
    return b"".join((
        pcapng.section("lab nat"),
        pcapng.interface(pcapng.ETHERNET, "gw:wan", "router gw, to web:eth0", MAC, "udp"),
        pcapng.interface(pcapng.RAW_IP, "gw:tun0"),
        pcapng.names({"10.0.0.1": ["alice"], "10.0.0.2": ["web"], "fd00::2": ["web"]}),
        pcapng.packet(0, NOW, FRAME, len(FRAME), pcapng.OUTBOUND, ["step 1", "step 2"]),
        pcapng.packet(1, NOW + 1000, FRAME[14:], len(FRAME) - 14, pcapng.INBOUND),
        pcapng.packet(0, NOW + 1001, v6, len(v6), pcapng.INBOUND | pcapng.MULTICAST),
        pcapng.statistics(0, NOW + 9, NOW, NOW + 9, 77, 5),
        pcapng.statistics(1, NOW + 9, NOW, NOW + 9, 1, 0),
    ))  # fmt: skip


def test_tshark_reads_every_field(tmp_path: Path, some_file: bytes) -> None:
    fields = (
        "frame.interface_name", "frame.interface_description", "frame.time_epoch", "frame.comment",
        "frame.packet_flags_direction", "frame.packet_flags_reception_type", "frame.encap_type",
        "udp.dstport",
    )  # fmt: skip
    options = [word for name in fields for word in ("-e", name)]
    lines = told(tmp_path, some_file, "tshark", "-r", "FILE", "-T", "fields", *options)
    assert [line.split("\t") for line in lines.splitlines()] == [
        ["gw:wan", "router gw, to web:eth0", "1700000000.123456789", "step 1,step 2",
         "0x00000002", "0", "1", "2000"],
        ["gw:tun0", "", "1700000000.123457789", "", "0x00000001", "0", "7", "2000"],
        ["gw:wan", "router gw, to web:eth0", "1700000000.123457790", "", "0x00000001", "2", "1",
         "2"],
    ]  # fmt: skip


def test_tshark_takes_the_names(tmp_path: Path, some_file: bytes) -> None:
    lines = told(
        tmp_path, some_file, "tshark", "-r", "FILE", "-N", "n", "-T", "fields",
        "-e", "ip.src_host", "-e", "ip.dst_host", "-e", "ipv6.dst_host",
    )  # fmt: skip
    assert lines.splitlines() == ["alice\tweb\t", "alice\tweb\t", "\t\tweb"]


def test_capinfos_is_content(tmp_path: Path, some_file: bytes) -> None:
    lines = told(tmp_path, some_file, "capinfos", "FILE").splitlines()
    about = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    about = {key.strip(): value.strip() for key, value in about.items()}
    assert about["File type"] == "Wireshark/... - pcapng"
    assert about["File timestamp precision"] == "nanoseconds (9)"
    assert about["Number of packets"] == "3"
    assert about["Strict time order"] == "True"
    assert about["Capture comment"] == "lab nat"
    assert about["Number of interfaces in file"] == "2"
    facts = dict(line.strip().split(" = ", 1) for line in lines if " = " in line)
    assert facts["Name"] == "gw:tun0"
    assert facts["Number of stat entries"] == "1"
