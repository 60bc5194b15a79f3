"""What processes say: kept within bounds, told in order, followed while it goes on."""
# ruff: noqa: E501 - a process is one line

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.live.conftest import Write
from tests.live.processes import following, logged, pid, supervisor, topology
from tests.live.world import NETLAB, ROOT, done, eventually, netlab

COUNTING = "i=0; while :; do i=$((i+1)); echo line $i; {pause} done"


def kept(lab: str) -> int:
    """Bytes that the file system holds of the log."""
    return Path(f"/run/netlab/{lab}/processes/n/p.log").stat().st_blocks * 512


def test_a_noisy_program_keeps_its_log_within_bounds(write: Write, lab: str) -> None:
    line = COUNTING.format(pause="")
    done("up", write(topology(f"p: {{run: '{line}', log_size: 16K, ready: {{log: line}}}}")))
    eventually(lambda: int(logged(lab, "n/p")[-2].split()[1]) > 30000, 20)  # the last may be half said
    done("stop", lab, "n/p")
    eventually(lambda: kept(lab) <= 2 * 16384 + 4096)
    lines = [int(line.split()[1]) for line in logged(lab, "n/p") if line.startswith("line ")]
    assert lines == sorted(lines)
    assert lines[-1] > 30000


def test_a_log_of_an_unattended_process_is_cut_when_somebody_comes(write: Write, lab: str, tmp_path: Path) -> None:
    line = f"echo up; until [ -e {tmp_path}/go ]; do sleep 0.02; done; seq 1 40000; exec sleep 600"
    file = write(topology(f"p: {{run: '{line}', log_size: 4096, ready: {{log: up}}}}"))
    done("up", file)
    os.kill(supervisor(lab), signal.SIGKILL)
    (tmp_path / "go").touch()
    log = Path(f"/run/netlab/{lab}/processes/n/p.log")
    eventually(lambda: log.read_text().endswith("40000\n"))
    assert kept(lab) > 200000
    done("up", file)
    log_pid = pid(lab)
    with log.open("a") as more:
        more.write("more\n")
    eventually(lambda: kept(lab) <= 2 * 4096)
    assert pid(lab) == log_pid
    assert logged(lab, "n/p")[-2:] == ["40000", "more"]


def test_processes_are_told_in_the_order_of_time(write: Write, lab: str, tmp_path: Path) -> None:
    """a says 1, 3, 5 and b 2, 4, 6: each waits until the other has spoken."""
    def turn(first: int) -> str:
        wait = "until [ -e {place}/{before} ]; do sleep 0.01; done; "
        say = "sleep 0.25; echo {n}; sleep 0.25; touch {place}/{n}; "
        line = "".join(wait.format(place=tmp_path, before=n - 1) + say.format(place=tmp_path, n=n) for n in range(first, 7, 2))
        return f"{{run: '{line}'}}"

    (tmp_path / "0").touch()
    done("up", write(f"nodes: {{a: {{processes: {{x: {turn(1)}}}}}, b: {{processes: {{longer: {turn(2)}}}}}}}"))
    eventually((tmp_path / "6").exists, 20)
    assert logged(lab) == [
        "a/x      | 1", "b/longer | 2", "a/x      | 3", "b/longer | 4", "a/x      | 5", "b/longer | 6",
    ]  # fmt: skip
    told = [json.loads(line) for line in logged(lab, "b", "--json")]
    assert told == [{"process": "b/longer", "line": str(n)} for n in (2, 4, 6)]


def test_since_tells_only_the_last_of_it(write: Write, lab: str, tmp_path: Path) -> None:
    line = f"echo old; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo new; exec sleep 600"
    done("up", write(topology(f"p: {{run: '{line}', ready: {{log: old}}}}")))
    times = Path(f"/run/netlab/{lab}/processes/n/p.times")
    eventually(lambda: times.read_text().splitlines()[-1].startswith("4 "))
    aged = [f"{line.split()[0]} {float(line.split()[1]) - 100:.3f}\n" for line in times.read_text().splitlines()]
    times.write_text("".join(aged))
    (tmp_path / "go").touch()
    eventually(lambda: logged(lab, "n/p") == ["old", "new"])
    assert logged(lab, "n/p", "--since", "50s") == ["new"]
    assert logged(lab, "n/p", "--since", "5min") == ["old", "new"]
    bad = netlab("logs", lab, "--since", "yesterday")
    assert (bad.code, bad.err) == (2, "--since: 'yesterday' is no duration: write 10s, 500ms, 2min or a count of seconds\n")


def test_following_misses_nothing_across_rotations_and_ends_with_the_lab(write: Write, lab: str, tmp_path: Path) -> None:
    """1,500 lines, enough for its beginning to go many times; the next hundred are said when these are read."""
    wait = f"[ $((i % 100)) != 0 ] || until [ -e {tmp_path}/$i ]; do sleep 0.01; done"
    line = f"i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo line $i $NETLAB_PROCESS; {wait}; done; exec sleep 600"
    done("up", write(topology(f"p: {{run: '{line}', log_size: 4096, ready: {{log: 'line 1 '}}}}")))
    with following(lab, "n/p") as program:
        assert program.stdout
        for number in range(1, 1501):
            assert program.stdout.readline() == f"line {number} p\n"
            (tmp_path / str(number)).touch()
        assert kept(lab) <= 3 * 4096
        done("down", lab)
        assert program.wait(10) == 0


def test_following_goes_on_over_a_stop_and_a_start(write: Write, lab: str) -> None:
    done("up", write(topology("p: {run: 'echo up; exec sleep 600', ready: {log: up}}")))
    with following(lab) as program:
        assert program.stdout
        assert program.stdout.readline() == "n/p | up\n"
        done("restart", lab, "n/p")
        assert program.stdout.readline() == "n/p | up\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 130


def test_a_reader_that_goes_away_ends_it(write: Write, lab: str) -> None:
    done("up", write(topology("p: {run: 'while :; do echo x; sleep 0.01; done', ready: {log: x}}")))
    command = f"{' '.join(NETLAB)} logs {lab} -f | head -n 1"
    ran = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (ran.stdout, ran.stderr) == ("n/p | x\n", "")


def test_a_line_without_an_end_and_bytes_that_are_no_text(write: Write, lab: str) -> None:
    done("up", write(topology("p: {run: 'printf \"\\\\377\\\\nrest\"; exec sleep 600', ready: {log: rest}}")))
    assert logged(lab, "n/p") == ["\ufffd", "rest"]
