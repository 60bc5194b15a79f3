"""Network labs out of Linux network namespaces; in Python, see ``netlab.api``."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.api import Lab

__all__ = ["Lab"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Loaded when it is asked for: the command line has no use for it."""
    if name == "Lab":
        from netlab.api import Lab

        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
