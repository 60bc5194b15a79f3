"""What a packet would meet, foretold from what nodes hold; nothing is sent.

    state     what a node holds: asked of its kernel (``held``), or read off a plan (``planned``)
    packet    the packet, a value; ``layout`` its headers, bit by bit
    ruleset   nftables chains as they are gone through; ``evaluate`` goes through one
    route     the routing decision
    walk      all of it, from socket to socket and back, as a trace

What cannot be known beforehand is never guessed: see ``choices``.
"""
