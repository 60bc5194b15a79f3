"""What is computed from a topology: addresses, routes, and what they must never do."""
