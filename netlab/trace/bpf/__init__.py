"""BPF without compiler or C library: programs as declared, types as BTF tells, bpf(2) by ctypes.

Nothing here knows of labs. Nothing is pinned: all ends with the process.
"""
