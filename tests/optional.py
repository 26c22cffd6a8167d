"""What not every machine has: torch, of the extra `drapto[gpu]`. Loaded when a test uses it.

Never earlier, not even to see whether it is there: every program that a test worker starts after
that costs 17 ms of CPU time more, since its page tables are copied, and most tests start several.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs drapto[gpu]")
needs_vmaf_torch = pytest.mark.skipif(find_spec("vmaf_torch") is None, reason="needs drapto[gpu]")


class _Torch:
    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_", "pytest")):  # pytest looks whether it is a fixture
            raise AttributeError(name)
        return getattr(import_module("torch"), name)


torch: Any = _Torch()
