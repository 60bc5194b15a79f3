"""A ring of N routers by mininet: hosts with links, addresses, a default route; then taken down.

Run by Debian's Python, for which Debian has packaged mininet.
"""

import sys

from mininet.net import Mininet
from mininet.node import Host


def main(count: int) -> None:
    net = Mininet(build=False, controller=None, autoSetMacs=False)
    routers = [net.addHost(f"r{n}", cls=Host, ip=None) for n in range(count)]
    for n, router in enumerate(routers):
        left, right = f"10.{n >> 6}.{(n << 2) & 255}.2/30", f"10.{n >> 6}.{(n << 2) & 255}.1/30"
        net.addLink(
            router,
            routers[(n + 1) % count],
            params1={"ip": right},
            params2={"ip": left},
        )
    net.build()
    for n, router in enumerate(routers):
        router.cmd("sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        router.cmd(f"ip route add default via 10.{n >> 6}.{(n << 2) & 255}.2")
    net.start()
    net.stop()


main(int(sys.argv[1]))
