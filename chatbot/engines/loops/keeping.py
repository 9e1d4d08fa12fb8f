"""Compiled code, kept for later processes: nothing that can happen to it is more than a wait.

Numba's own keeping ends in an error where a file is damaged or cannot be written, and looks for changes in
the file of the function that is called alone, not in those whose functions it calls.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache

CALLED = Path(__file__).with_name("kernels.py")  # what the functions of other files call


class Kept(FunctionCache):
    """Beside the source, or in the user's cache. A RuntimeError if there is no such folder."""

    source = sha256(CALLED.read_bytes()).hexdigest()

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # Any: Numba has no types
        """What was compiled for these types; None if there is nothing, or nothing whole."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # whatever a damaged file makes of unpickling; what is left of it goes
            with suppress(Exception):
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, sig: Any, data: Any) -> None:  # Any: Numba has no types
        """Keep it, if there is room."""
        with suppress(Exception):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]

    def _index_key(self, sig: Any, codegen: Any) -> Any:  # Any: Numba has no types
        return *super()._index_key(sig, codegen), self.source  # type: ignore[no-untyped-call]
