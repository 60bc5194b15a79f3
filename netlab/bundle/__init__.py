"""A lab written down in one directory: what failed, what every node held, the last packets."""
