"""Where arithmetic is done: the CPU, or one CUDA device."""

from __future__ import annotations

from drapto.core.media import Value


class Device(Value):
    """`name` as torch has it: 'cpu', 'cuda:0'. `why` says why this one, in words."""

    name: str = "cpu"
    why: str
    model: str = ""  # 'NVIDIA H100 80GB HBM3'
    memory_bytes: int = 0

    @property
    def is_cpu(self) -> bool:
        return self.name == "cpu"

    @property
    def number(self) -> int:
        """Of a CUDA device, as CUDA counts them."""
        return int(self.name.rpartition(":")[2])


class DecodeEngine(Value):
    """Whether a device's own decoder gave the pictures of the CPU's. Tried, never looked up."""

    codec: str  # 'h264'
    bit_depth: int
    works: bool
    why_not: str = ""
