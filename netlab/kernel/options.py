"""The options a kernel is built with, by the thing that needs them."""

OPTIONS = {
    "bridge": "CONFIG_BRIDGE",
    "vxlan": "CONFIG_VXLAN",
    "veth": "CONFIG_VETH",
    "tun": "CONFIG_TUN",
    "tap": "CONFIG_TUN",
    "rules IPv4": "CONFIG_IP_MULTIPLE_TABLES",
    "rules IPv6": "CONFIG_IPV6_MULTIPLE_TABLES",
    "multipath": "CONFIG_IP_ROUTE_MULTIPATH",
    "nftables": "CONFIG_NF_TABLES",
    "conntrack": "CONFIG_NF_CT_NETLINK",
}
