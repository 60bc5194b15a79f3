"""Files of packets: each is whole by itself, however many there are."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.errors import NetlabError, UsageError
from netlab.kernel.ring import BROADCAST, HOST, OUTGOING, Frame
from netlab.trace import pcapng
from netlab.trace.recording import Head, Output, Pipe, PlainFile, Recording, Rotation
from netlab.trace.rings import Source
from tests.trace.reader import File, read

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
MAC = b"\2\0\0\0\0\1"


def source(number: int, name: str = "gw:wan") -> Source:
    node, _, device = name.partition(":")
    return Source(number, node, device, pcapng.ETHERNET, MAC, START, received=7, dropped=2)


HEAD = Head(
    "lab x", "netlab 1", "Linux 6", "x86_64", "tcp", 96, {"10.0.0.1": ("gw",)},
    lambda one: f"about {one.name}",
)  # fmt: skip


def frame(time: float, size: int = 60, ring: int = 0, to: int = HOST) -> Frame:
    return START + int(time * SECOND), ring, to, size + 10, bytes(size)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[int], Output]:
    return lambda number: PlainFile(str(tmp_path / f"f{number}"))


def files(tmp_path: Path) -> dict[str, File]:
    return {path.name: read(path.read_bytes()) for path in sorted(tmp_path.iterdir())}


def test_one_file_holds_everything(tmp_path: Path, opened: Callable[[int], Output]) -> None:
    sources = [source(0)]
    recording = Recording(HEAD, opened, Rotation(), sources)
    recording.add([frame(0), frame(1, to=OUTGOING)])
    sources.append(source(1, "gw:lan"))
    recording.add([frame(2, ring=1, to=BROADCAST)])
    recording.close()
    (file,) = files(tmp_path).values()
    assert file.section.text(1) == "lab x"
    assert file.interface_names == ["gw:wan", "gw:lan"]
    assert [one.text(3) for one in file.interfaces] == ["about gw:wan", "about gw:lan"]
    assert file.names == {"10.0.0.1": ["gw"]}
    assert [(p.interface, p.flags, p.length) for p in file.packets] == [
        (0, pcapng.INBOUND | pcapng.UNICAST, 70),
        (0, pcapng.OUTBOUND, 70),
        (1, pcapng.INBOUND | pcapng.BROADCAST, 70),
    ]
    assert file.counts == {"gw:wan": (7, 2), "gw:lan": (7, 2)}
    assert recording.bytes == (tmp_path / "f1").stat().st_size
    assert recording.files == [str(tmp_path / "f1")]


@pytest.mark.parametrize("together", [1, 7, 50])
def test_no_file_is_larger_than_it_may_be(
    tmp_path: Path, opened: Callable[[int], Output], together: int
) -> None:
    sources = [source(0), source(1, "gw:lan")]
    recording = Recording(HEAD, opened, Rotation(size=2000), sources)
    frames = [frame(n, 60 + n) for n in range(50)]
    for first in range(0, 50, together):
        recording.add(frames[first : first + together])
    recording.close()
    found = files(tmp_path)
    sizes = [(tmp_path / name).stat().st_size for name in found]
    assert max(sizes) <= 2000
    assert min(sizes[:-1]) > 2000 - pcapng.size(109)
    times = [time for n in range(1, len(found) + 1) for time in found[f"f{n}"].times]
    assert times == [f[0] for f in frames]
    assert {tuple(file.interface_names) for file in found.values()} == {("gw:wan", "gw:lan")}
    assert recording.number == len(found) > 3


def test_a_packet_larger_than_a_file_may_be_has_one_of_its_own(
    tmp_path: Path, opened: Callable[[int], Output]
) -> None:
    recording = Recording(HEAD, opened, Rotation(size=100), [source(0)])
    recording.add([frame(0, 500), frame(1, 500), frame(2, 500)])
    recording.close()
    assert [len(file.packets) for file in files(tmp_path).values()] == [1, 1, 1]


def test_a_file_ends_by_the_time_of_its_packets(
    tmp_path: Path, opened: Callable[[int], Output]
) -> None:
    recording = Recording(HEAD, opened, Rotation(time=2.0), [source(0)])
    recording.add([frame(t) for t in (10, 11, 11.9)])
    recording.add([frame(t) for t in (12, 13.5, 20.5, 21.9, 22)])
    recording.close()
    starts = [[(t - START) / SECOND for t in file.times] for file in files(tmp_path).values()]
    assert starts == [[10, 11, 11.9], [12, 13.5], [20.5, 21.9], [22]]


def test_only_the_latest_files_are_kept(tmp_path: Path, opened: Callable[[int], Output]) -> None:
    recording = Recording(HEAD, opened, Rotation(time=1.0, files=2), [source(0)])
    recording.add([frame(t) for t in range(5)])
    recording.close()
    assert list(files(tmp_path)) == ["f4", "f5"]
    assert (recording.files, recording.number) == ([str(tmp_path / "f4"), str(tmp_path / "f5")], 5)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere/x: No such file or directory"):
        PlainFile(str(tmp_path / "nowhere/x"))
    full = PlainFile("/dev/full")
    with pytest.raises(NetlabError, match="/dev/full: No space left on device"):
        full.write(b"x")


def test_a_pipe_takes_all_as_its_reader_reads() -> None:
    reader, writer = os.pipe()
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.extend(iter(lambda: os.read(reader, 777), b"")))
    thread.start()
    data = os.urandom(3_000_000)
    Pipe(writer, lambda: False).write(data)
    os.close(writer)
    thread.join(20)
    os.close(reader)
    assert b"".join(found) == data


def test_a_pipe_without_a_reader_breaks() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        Pipe(writer, lambda: False).write(b"x")
    os.close(writer)


def test_a_reader_that_does_not_read_is_left_when_the_end_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("netlab.trace.recording.PATIENCE", 0.2)
    reader, writer = os.pipe()
    pipe = Pipe(writer, lambda: True)
    for data in (bytes(4_000_000), b"more"):
        with pytest.raises(BrokenPipeError, match="the reader does not read"):
            pipe.write(data)
    for end in (reader, writer):
        os.close(end)
