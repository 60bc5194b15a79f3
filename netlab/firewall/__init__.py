"""nft syntax ⇄ netlink: what users write, what the kernel holds, and the way between, both ways."""
