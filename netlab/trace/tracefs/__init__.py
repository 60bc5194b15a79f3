"""The kernel's tracepoints by files (tracefs), for machines that allow these and no BPF."""
