"""The end of a link; the link makes it.

Example:
    eth0: {mtu: 1400}
"""

from netlab.devices.base import DeviceKind
from netlab.model.topology import Interface

kind = DeviceKind(settings=Interface, addressed=True)
