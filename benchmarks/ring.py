"""A ring of routers, as a topology, and as a shell user would build it with ``ip -batch``."""

from __future__ import annotations

from pathlib import Path

SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
}
"""What a router of netlab has beside what a fresh namespace has."""


def topology(name: str, count: int) -> str:
    """Each router: two addressed interfaces, forwarding, one default route."""
    lines = [f"name: {name}", "addressing: none", "nodes:"]
    for n in range(count):
        route = f"{{to: default, via: {_ip(4 * n + 2)}}}"
        lines.append(f"  r{n}: {{kind: router, routes: [{route}]}}")
    lines.append("links:")
    for n in range(count):
        right, left = f"{_ip(4 * n + 1)}/30", f"{_ip(4 * n + 2)}/30"
        lines.append(f'  - ["r{n}:right {right}", "r{(n + 1) % count}:left {left}"]')
    return "\n".join(lines) + "\n"


def write_batches(directory: Path, name: str, count: int) -> str:
    """The files that ``ip -batch`` reads, and the shell script that runs them."""
    names = [f"{name}.r{n}" for n in range(count)]
    nodes = "".join(f"netns add {ns}\n" for ns in names)
    links = "".join(
        f"link add name right mtu 1500 netns {names[n]} type veth peer name left mtu 1500"
        f" netns {names[(n + 1) % count]}\n"
        for n in range(count)
    )
    (directory / "nodes").write_text(nodes)
    (directory / "links").write_text(links)
    for n, ns in enumerate(names):
        left = _ip(4 * ((n - 1) % count) + 2)
        (directory / ns).write_text(
            "link set lo up\nlink set right up\nlink set left up\n"
            f"address add {_ip(4 * n + 1)}/30 broadcast + dev right\n"
            f"address add {left}/30 broadcast + dev left\n"
            f"route add default via {_ip(4 * n + 2)} proto static\n"
        )
    switches = "; ".join(f"echo {value} > /proc/sys/{path}" for path, value in SYSCTLS.items())
    (directory / "gone").write_text("".join(f"netns del {ns}\n" for ns in names))
    return (
        f"set -e\ncd {directory}\nip -batch nodes\n"
        + "".join(f"ip netns exec {ns} sh -c '{switches}'\n" for ns in names)
        + "ip -batch links\n"
        + "".join(f"ip -n {ns} -batch {ns}\n" for ns in names)
    )


def _ip(host: int) -> str:
    return f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"
