"""A tap device: a program reads and writes Ethernet frames.

Example:
    tap0: {kind: tap, addresses: [10.9.0.1/24]}
"""

from netlab.devices.base import DeviceKind
from netlab.devices.tun import TunSettings, maker

kind = DeviceKind(settings=TunSettings, resources=maker("tap", has_mac=True))
