"""libnftables (libnftables(3)) through ctypes, for the little that netlab does not translate."""

from __future__ import annotations

import ctypes

LIBRARY = "libnftables.so.1"


def run(text: str) -> str | None:
    """A whole script in one transaction, in the namespace of the calling thread.

    "" where it was taken, else what the library says; None where there is no library.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    for function in (
        library.nft_ctx_free,
        library.nft_ctx_buffer_error,
        library.nft_ctx_buffer_output,
        library.nft_ctx_get_error_buffer,
    ):
        function.argtypes = (ctypes.c_void_p,)
    library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    context = library.nft_ctx_new(0)
    try:
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_buffer_output(context)
        if library.nft_run_cmd_from_buffer(context, text.encode()) == 0:
            return ""
        said = library.nft_ctx_get_error_buffer(context) or b"no reason was given"
        return str(said.decode(errors="replace").strip())
    finally:
        library.nft_ctx_free(context)
