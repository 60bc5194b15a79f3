"""What netlab costs, against the same work done by others in one run: docs/benchmark.md."""
