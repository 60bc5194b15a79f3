"""Network labs out of Linux network namespaces."""

__version__ = "0.1.0"
