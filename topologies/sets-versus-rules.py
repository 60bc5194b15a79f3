"""Two thousand rules against one set of as many: what each costs, in packets per second.

    python3 sets-versus-rules.py [SECONDS]    # in the lab's node tester: measures, so long each
    python3 sets-versus-rules.py write        # writes rules.nft and set.nft anew
"""

import random
import socket
import sys
import time
from pathlib import Path

COUNT = 2000
ROUNDS = 3
PATHS = {"none": "198.51.100.9", "set": "203.0.113.9", "rules": "192.0.2.9"}
"""Router → an address behind it; the packets come back to the tester."""


def addresses() -> list[str]:
    """The same in every run; no prefix has many of them."""
    some = random.Random(COUNT).sample(range(1 << 17), COUNT)
    return [socket.inet_ntoa((198 << 24 | 18 << 16 | n).to_bytes(4, "big")) for n in some]


def texts() -> dict[str, str]:
    chain = "  chain forward {\n    type filter hook forward priority filter\n"
    rules = "".join(f"    ip saddr {address} drop\n" for address in addresses())
    elements = ",\n".join(f"      {address}" for address in addresses())
    named = f"  set unwanted {{\n    type ipv4_addr\n    elements = {{\n{elements}\n    }}\n  }}\n"
    return {
        "rules.nft": f"table ip filter {{\n{chain}{rules}  }}\n}}\n",
        "set.nft": f"table ip filter {{\n{named}{chain}    ip saddr @unwanted drop\n  }}\n}}\n",
    }


def arrived(path: str) -> int:
    with open(f"/sys/class/net/{path}-in/statistics/rx_packets") as file:
        return int(file.read())


def rate(path: str, seconds: float) -> float:
    """Packets a second that pass, sent one after the other from an address that is not unwanted."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((PATHS[path], 9))
    before, start = arrived(path), time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for _ in range(100):
            sock.send(b"x")
    return (arrived(path) - before) / passed


def measure(seconds: float) -> None:
    best = dict.fromkeys(PATHS, 0.0)
    for _ in range(ROUNDS):
        for path in PATHS:
            best[path] = max(best[path], rate(path, seconds))
    cost = {path: (1 / best[path] - 1 / best["none"]) * 1e6 for path in PATHS}
    print(f"the set passes {best['set'] / best['rules']:.1f} times as many packets as the rules")
    for path in PATHS:
        print(f"{path:<6} {best[path]:>8,.0f} packets/s   {cost[path]:5.2f} us a packet")


def write() -> None:
    beside = Path(__file__).with_suffix("")
    beside.mkdir(exist_ok=True)
    for name, text in texts().items():
        (beside / name).write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        write()
    else:
        measure(float(sys.argv[1]) if sys.argv[1:] else 1.0)
