"""What netlab costs, against the same work done by others in the same run. See docs/benchmark.md."""
