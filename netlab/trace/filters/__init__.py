"""pcap-filter(7) expressions, the everyday part of them, as programs of classic BPF.

What can be written, in the words of pcap-filter(7); ``docs/capture.md`` tells it to users::

    host web                      src, dst, src or dst, src and dst; an address or a node's name
    net 10.0.0.0/8                also 10.0.0.0 mask 255.0.0.0, fd00::/8
    port 80, portrange 1000-2000  src, dst; of TCP, UDP and SCTP, or of one: tcp dst port 80
    ether host 02:00:00:00:00:01  src, dst
    ip ip6 arp rarp tcp udp sctp icmp icmp6 igmp esp ah
    ip proto 89, ip6 proto 89, proto 89, ether proto 0x88cc
    vlan, vlan 100                what follows by ``and`` is about what the tag holds
    broadcast, multicast, ip multicast, ip6 multicast, inbound, outbound
    less 100, greater 1000
    tcp[tcpflags] & tcp-syn != 0  PROTOCOL[OFFSET:BYTES] & MASK compared with a number
    and && or || not ! ( )        and, or are equal, from left to right; not binds closer

``parse`` makes a tree of the words, ``meaning`` tests of bytes of that, ``program`` code.
"""

from netlab.trace.filters.meaning import ETHERNET, RAW_IP
from netlab.trace.filters.parse import WrongFilter, is_filter, parse
from netlab.trace.filters.program import WHOLE, compiled

__all__ = ["ETHERNET", "RAW_IP", "WHOLE", "WrongFilter", "compiled", "is_filter", "parse"]
