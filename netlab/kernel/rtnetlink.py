"""Numbers of rtnetlink(7), by the kernel's names."""

from __future__ import annotations

# linux/rtnetlink.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR = 20, 21
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
RTM_NEWRULE, RTM_DELRULE = 32, 33
RT_SCOPE_LINK, RT_SCOPE_HOST, RT_SCOPE_NOWHERE = 253, 254, 255
RTPROT_STATIC = 4
RTNH_F_ONLINK = 4
IP6_RT_PRIO_USER = 1024  # net/ipv6.h: the metric of an IPv6 route that is given none
ROUTE_TYPES = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}

# linux/netlink.h
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
NEW = CREATE | EXCL

AF_INET, AF_INET6, AF_BRIDGE = 2, 10, 7
FAMILIES = {4: AF_INET, 6: AF_INET6}
IFF_UP = 1
IFA_F_NODAD = 2
NUD_PERMANENT = 0x80
NTF_SELF, NTF_PROXY = 2, 8
RTEXT_FILTER_SKIP_STATS = 8


def version_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4
