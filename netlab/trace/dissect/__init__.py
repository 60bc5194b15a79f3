"""What a packet is, in one line and in tcpdump's terms, with names in place of addresses.

Each file tells of one layer. A function gets the bytes from its own header on, as many as were
kept; how many there were, where a header above says so; and the ``View`` that all layers share.
What has not been kept is told as tcpdump tells it: ``[|tcp]``.
"""

from netlab.trace.dissect.link import told
from netlab.trace.dissect.view import Facts, Flows

__all__ = ["Facts", "Flows", "told"]
