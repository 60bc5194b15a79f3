"""The words on the command line: what is understood, and what is said where they make no sense."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from netlab.cli.app import app
from netlab.cli.kinds import FIRST
from tests.live.world import NETLAB, ROOT, Said, netlab, program

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
GOOD = "nodes: {a: , b: }\nlinks: [[a, b]]\n"
BAD = "nodes: {a: {kidn: host}, b: }\nlinks: [[a, c]]\n"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "state"))


def test_there_are_the_commands_of_the_contract() -> None:
    assert {
        "up", "plan", "down", "ls", "show", "exec", "shell", "check", "doctor", "schema", "kinds",
        "init", "script", "gc",
    } <= set(COMMANDS)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    long, short = netlab(command, "--help"), netlab(command, "-h")
    assert (long.code, long.err) == (0, "")
    assert long == short
    assert long.out.startswith(f"Usage: netlab {command} ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_variable_of_its_own_name(command: str) -> None:
    flat = " ".join(netlab(command, "--help").out.split())
    options = {w.strip("-,") for w in flat.split() if w.startswith("--")} - {"help", ""}
    negations = {f"no-{option}" for option in options}  # they share the variable of the switch
    for option in options - negations - {"all;"}:
        variable = f"NETLAB_{command.upper()}_{option.upper().replace('-', '_')}"
        assert f"[env var: {variable}" in flat


def test_no_words_are_a_question_for_help() -> None:
    assert netlab() == netlab("--help") == netlab("-h")
    assert netlab().code == 0


def test_help_fits_eighty_columns() -> None:
    said = program("--help", env={**os.environ, "COLUMNS": "80"})
    assert [line for line in said.out.splitlines() if line.endswith("...") or len(line) > 80] == [
        "Usage: netlab [OPTIONS] COMMAND [ARGS]..."
    ]


def test_the_version_is_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETLAB_VERSION", "0.9.9")  # somebody's pin, no word for us
    assert netlab("--version") == Said(0, f"netlab {version('netlab')}\n", "")
    assert netlab("ls") == Said(0, "no lab is up\n", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nope"], "No such command 'nope'."),
        (["up"], "Missing argument 'FILE'."),
        (["up", "--nope", "x"], "No such option: --nope"),
        (["ls", "x"], "Got unexpected extra argument(s) (x)"),
        (["ls", "--nope"], "No such option: --nope"),
        (["show"], "Missing argument 'LAB'."),
        (["show", "a", "b", "c"], "Got unexpected extra argument(s) (c)"),
        (["exec"], "Missing argument 'LAB'."),
        (["exec", "lab"], "no command was given"),
        (["exec", "lab", "a", "--"], "no command was given"),
        (["exec", "lab", "--", "true"], "in which node?"),
        (["exec", "--all", "lab", "a", "--", "true"], "`--all` means all nodes: name none"),
        (["exec", "lab", "--all", "a", "--", "true"], "`--all` means all nodes: name none"),
        (["down"], "which lab?"),
        (["down", "--all", "lab"], "a lab or `--all`, not both"),
        (["kinds", "nope"], "there is no kind nope"),
        (["init", "../x"], "'../x' cannot be a lab's name"),
        (["init", "Big"], "'Big' cannot be a lab's name"),
        (["up", "x.yaml", "--ttl", "0s"], "--ttl 0s: it takes more than no time, as 10s"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_wrong_words_are_told_in_a_sentence(words: list[str], sentence: str) -> None:
    said = netlab(*words)
    assert (said.code, said.out, said.err.splitlines()[0]) == (2, "", sentence)


@pytest.mark.parametrize("words", [
    ["show", "LAB"], ["show", "LAB", "n"], ["down", "LAB"], ["shell", "LAB", "n"],
    ["exec", "LAB", "n", "--", "true"], ["exec", "LAB", "n", "true"],
    ["exec", "LAB", "n", "m", "--", "true"], ["exec", "--all", "LAB", "--", "true"],
], ids=" ".join)  # fmt: skip
@pytest.mark.parametrize(
    ("lab", "sentence"),
    [
        ("nope", "no lab nope is up"), ("..", "no lab '..' is up"), ("", "no lab '' is up"),
        ("../x", "no lab is up from ../x"), ("x.yaml", "no lab is up from x.yaml"),
        ("/", "no lab is up from /"),
    ],
)  # fmt: skip
def test_a_lab_that_is_not_there_is_told_alike_by_every_command(
    words: list[str], lab: str, sentence: str
) -> None:
    said = netlab(*(lab if word == "LAB" else word for word in words))
    assert said == Said(5, "", f"{sentence}\n  `netlab ls` tells which are\n")


def test_a_failure_is_one_document_where_json_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    error = {
        "kind": "LabNotFound", "message": "no lab nope is up", "exit": 5,
        "hint": "`netlab ls` tells which are", "notes": [],
    }  # fmt: skip
    assert netlab("show", "--json", "nope").json == {"error": error}
    monkeypatch.setenv("NETLAB_DOWN_JSON", "1")
    assert netlab("down", "nope").json == {"error": error}


def test_a_variable_stands_for_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETLAB_LS_JSON", "1")
    assert netlab("ls").json == []
    monkeypatch.setenv("NETLAB_LS_JSON", "0")
    assert netlab("ls").out == "no lab is up\n"
    monkeypatch.setenv("NETLAB_DOWN_ALL", "1")
    assert netlab("down").out == "no lab is up\n"
    monkeypatch.setenv("NETLAB_EXEC_ALL", "1")
    assert netlab("exec", "lab", "a", "--", "true").code == 2


# files


def test_files_are_checked_together_and_every_error_is_told() -> None:
    Path("good.yaml").write_text(GOOD)
    Path("bad.yaml").write_text(BAD)
    assert netlab("check", "good.yaml") == Said(
        0, "good.yaml: good is fine: 2 nodes, 1 link, 8 steps\n", ""
    )
    said = netlab("check", "bad.yaml", "good.yaml", "missing.yaml")
    assert said == Said(
        2,
        "good.yaml: good is fine: 2 nodes, 1 link, 8 steps\n",
        "bad.yaml:1:13  nodes.a.kidn: unknown key 'kidn'; did you mean 'kind'?\n"
        "bad.yaml:2:13  links[0][1]: unknown node 'c'\n"
        "missing.yaml: No such file or directory\n"
        "3 errors, nothing was touched\n",
    )
    found = netlab("check", "--json", "good.yaml", "bad.yaml", "missing.yaml").json
    assert [(f["file"], f["lab"], len(f["problems"])) for f in found] == [
        ("good.yaml", "good", 0), ("bad.yaml", "", 2), ("missing.yaml", "", 1),
    ]  # fmt: skip
    assert found[1]["problems"][0] == {
        "line": 1, "column": 13, "path": "nodes.a.kidn", "message": "unknown key 'kidn'",
        "hint": "did you mean 'kind'?", "file": "",
    }  # fmt: skip


READERS = ["up", "plan", "check", "script", "doctor"]


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("missing.yaml", "missing.yaml: No such file or directory"),
        ("../x/y.yaml", "../x/y.yaml: No such file or directory"),
        ("/", "/: Is a directory"),
        ("", ": No such file or directory"),
        ("x" * 300, "x" * 300 + ": File name too long"),
        ("/dev/null", "/dev/null:1:1  a topology is a mapping with `nodes` and `links`, "),
        ("/dev/zero", "/dev/zero:1:1  the file has 16,777,216 bytes; 4,194,304 are the most"),
        ("binary", "binary:2:118  byte 0x80 is not UTF-8; save the file as UTF-8"),
        ("Odd Name.yaml", "Odd Name.yaml"),
    ],
)
def test_a_file_that_is_none_is_told_in_a_sentence(command: str, file: str, sentence: str) -> None:
    Path("binary").write_bytes(bytes(range(256)) * 8)
    Path("Odd Name.yaml").write_text(GOOD)
    said = netlab(command, file)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(sentence)


def test_a_name_that_is_no_text_is_told_too() -> None:
    words = [*NETLAB, "check", b"\xff\x1b[2J.yaml"]
    ended = subprocess.run(words, capture_output=True, cwd=ROOT, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"\\udcff\\x1b[2J.yaml: No such file or directory\n")


@pytest.mark.parametrize("file", ["-", "/dev/stdin"])
def test_a_topology_may_come_down_a_pipe(file: str) -> None:
    said = program("check", file, input=f"name: piped\n{GOOD}")
    assert said == Said(0, f"{file}: piped is fine: 2 nodes, 1 link, 8 steps\n", "")


def test_a_topology_may_come_from_a_named_pipe() -> None:
    os.mkfifo("pipe.yaml")
    with subprocess.Popen(["sh", "-c", "printf '%s' \"$1\" > pipe.yaml", "sh", GOOD]):
        assert netlab("check", "pipe.yaml").out.startswith("pipe.yaml: pipe is fine")


def test_the_first_topology_is_a_good_one() -> None:
    assert netlab("init", "first") == Said(
        0, "first.yaml written; try  sudo netlab up first.yaml\n", ""
    )
    assert Path("first.yaml").read_text() == FIRST.format(name="first")
    assert netlab("check", "first.yaml").code == 0
    assert netlab("init", "first") == Said(2, "", "first.yaml is there already\n")


def test_all_kinds_are_listed_and_each_is_explained() -> None:
    every = netlab("kinds", "--json").json
    names = {(kind["sort"], kind["name"]) for kind in every}
    assert {("node", "host"), ("node", "router"), ("node", "switch"), ("link", "veth")} < names
    lines = netlab("kinds").out.splitlines()
    assert lines[0].split() == ["sort", "kind", "what", "it", "is"]
    assert {tuple(line.split()[:2]) for line in lines[1:]} == names
    assert [line for line in lines if line != line.rstrip()] == []
    for kind in every:
        assert kind["about"]
        assert kind["example"]
        assert all(kind["keys"].values()), "every key has a description"
        whole = netlab("kinds", kind["name"]).out
        assert f"{kind['name']}, a {kind['sort']} kind: {kind['about']}" in whole
        assert all(f"\n{key} " in whole for key in kind["keys"])


def test_a_script_is_one_a_shell_understands() -> None:
    Path("good.yaml").write_text(GOOD)
    script = netlab("script", "good.yaml").out
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


# output


def test_a_reader_that_leaves_is_no_failure_to_tell() -> None:
    for words in (["schema"], ["kinds"], ["--help"], ["ls", "--json"]):
        ended = subprocess.run(
            ["sh", "-c", '"$@" | head -c 1', "sh", *NETLAB, *words],
            capture_output=True, text=True, cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert (len(ended.stdout), ended.stderr) == (1, "")


@pytest.mark.parametrize("words", [["schema"], ["kinds"], ["--help"], ["ls"], ["ls", "--json"]],
                         ids=" ".join)  # fmt: skip
def test_a_full_disk_is_told_in_a_sentence(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*NETLAB, *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60
        )
    assert (ended.returncode, ended.stderr) == (1, "standard output: No space left on device\n")


@pytest.mark.parametrize("words", ["ls", "kinds", "schema", "--help"])
def test_a_reader_who_has_gone_ends_it_as_the_signal_would(words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [*NETLAB, words], stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["ls", "kinds", "show nope"])
def test_closed_streams_are_borne(closed: str, words: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {words} {closed}', "sh", *NETLAB],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert ended.returncode == (5 if words == "show nope" else 0)
    assert "Traceback" not in ended.stderr


def test_a_terminal_without_unicode_gets_escapes() -> None:
    said = program("kinds", "router", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert said.code == 0
    assert said.out.isascii()


# completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_for_shells(shell: str) -> None:
    said = program(env={**os.environ, "_NETLAB_COMPLETE": f"source_{shell}"})
    assert said.code == 0
    assert "_NETLAB_COMPLETE" in said.out
    assert "netlab" in said.out


def complete(*words: str) -> list[str]:
    """What a bash offers at the last of ``words``."""
    asked = {"COMP_WORDS": " ".join(("netlab", *words)), "COMP_CWORD": str(len(words))}
    said = program(env={**os.environ, **asked, "_NETLAB_COMPLETE": "complete_bash"})
    return said.out.split()


def test_commands_and_options_are_completed() -> None:
    assert complete("sc") == ["schema", "script"]
    assert complete("up", "--") == ["--dry-run", "--ttl", "--owner-pid", "--json", "--help"]


def test_a_lab_that_is_not_up_completes_to_nothing() -> None:
    assert complete("show", "no-such-lab-") == []
    assert complete("show", "no-such-lab", "") == []


def test_the_package_runs_as_a_module_and_as_a_command() -> None:
    command = Path(sys.executable).parent / "netlab"
    ran = subprocess.run([command, "ls", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == program("ls", "--json").json == []
