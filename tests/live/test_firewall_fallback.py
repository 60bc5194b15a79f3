"""What netlab does not translate goes to libnftables, whole tables at once, and is told so.

One node, and rules with a chain that has no name.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netlab.kernel import libnftables
from tests.live.conftest import Write
from tests.live.firewall import in_a_namespace
from tests.live.world import done, netlab, tool

LACKING = in_a_namespace(lambda: libnftables.run("table ip t {\n}\n"))
needs_library = pytest.mark.skipif(
    LACKING is None, reason=f"{libnftables.LIBRARY} is not installed"
)
TEXT = """\
nodes:
  a:
    nftables: |
      table ip plain {{
        chain input {{
          type filter hook input priority 0;
          counter {plain}
        }}
      }}
      table ip nameless {{
        chain input {{
          type filter hook input priority 5;
          tcp dport {port} jump {{
            counter
            accept
          }}
          counter
        }}
      }}
"""


def _shown(lab: str) -> list[tuple[str, str, str, str]]:
    rules = netlab("show", lab, "a", "--rules", "--json").json["rules"]
    return [(r["chain"][:7], r["text"], r["place"].rpartition(":")[2], r["by"]) for r in rules]


def _by_line(lab: str) -> dict[str, str]:
    return {line: text for _, text, line, _ in _shown(lab)}


@needs_library
def test_a_table_beyond_netlab_is_loaded_by_libnftables_and_shown_as_such(
    write: Write, lab: str
) -> None:
    done("up", write(TEXT.format(plain="accept", port=22)))
    zero = "packets 0 bytes 0"
    jump = _shown(lab)[1][1]
    assert jump.startswith("tcp dport 22 jump __chain")
    assert _shown(lab) == [
        ("input", f"counter {zero} accept", "7", "netlab"),
        ("input", jump, "13", "libnftables"),
        ("input", f"counter {zero}", "17", "libnftables"),
        ("__chain", f"counter {zero}", "", "libnftables"),
        ("__chain", "accept", "", "libnftables"),
    ]
    text = done("show", lab, "a", "--rules")
    assert "table ip nameless  chain input  (loaded by libnftables)\n" in text
    assert "table ip plain  chain input\n" in text


@needs_library
def test_only_the_table_that_changes_is_made_anew(write: Write, lab: str) -> None:
    file = write(TEXT.format(plain="accept", port=22))
    done("up", file)
    tool("ip", "netns", "exec", f"{lab}.a", "ping", "-c1", "-W1", "127.0.0.1")
    counted = _by_line(lab)["7"]
    assert "packets 0" not in counted
    write(TEXT.format(plain="accept", port=23))
    done("up", file)
    assert _by_line(lab)["7"] == counted
    assert "tcp dport 23" in _by_line(lab)["13"]
    write(TEXT.format(plain="drop", port=23))
    done("up", file)
    assert _by_line(lab)["7"] == "counter packets 0 bytes 0 drop"


def test_without_the_library_it_is_told_what_to_install_and_nothing_is_left(
    write: Write, lab: str
) -> None:
    file = write(TEXT.format(plain="accept", port=22))
    hidden = (
        "import sys; from netlab.kernel import libnftables; libnftables.LIBRARY = 'libnone.so.1';"
        "sys.argv = ['netlab', 'up', sys.argv[1]]; from netlab.cli.main import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", hidden, file], capture_output=True, text=True)
    assert ended.returncode == 3
    assert ended.stderr.splitlines() == [
        f"{file}:13:24: a chain without a name is not translated by netlab, "
        "and there is no libnone.so.1, which may know it",
        "  install libnftables1 (Debian, Ubuntu), or nftables elsewhere",
    ]
    assert not Path(f"/run/netns/{lab}.a").exists()


@needs_library
def test_what_libnftables_declines_too_is_told_with_its_words(write: Write, lab: str) -> None:
    rules = "table ip t { chain c { udp dport 4789 vxlan nonsense 5; } }"
    file = write(f"nodes:\n  a:\n    nftables: |\n      {rules}\n")
    said = netlab("up", file)
    assert said.code == 4
    assert f"{file}:4:45: vxlan is not translated by netlab, and libnftables refused it" in said.err
