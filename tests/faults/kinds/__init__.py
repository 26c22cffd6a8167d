"""Every kind of fault, one module for each family."""

from __future__ import annotations

from tests.faults.harness import Kind


def all_kinds() -> tuple[Kind, ...]:
    from tests.faults.kinds import clock, crowd, disks, memory, signals, source, tampering

    return (
        *signals.KINDS,
        *disks.KINDS,
        *clock.KINDS,
        *source.KINDS,
        *tampering.KINDS,
        *memory.KINDS,
        *crowd.KINDS,
    )
