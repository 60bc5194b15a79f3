"""A virtual cable: two Ethernet devices back to back (veth(4)).

Example:
    - ["h1:eth0 10.0.0.1/24", "h2:eth0 10.0.0.2/24"]
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.links.base import LinkKind
from netlab.model.site import Nic
from netlab.model.topology import Link
from netlab.resources.base import Resource
from netlab.resources.device import Veth


def resources(link: Link, a: Nic, b: Nic) -> Iterator[Resource]:
    ups = a.settings.up, b.settings.up
    yield Veth(a.ns, a.name, b.ns, b.name, a.mac, b.mac, a.mtu, b.mtu, *ups)


kind = LinkKind(settings=Link, resources=resources)
