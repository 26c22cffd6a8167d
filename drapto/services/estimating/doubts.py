"""What an estimate leaves open, in plain sentences for whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence

from drapto.core.estimate import Range
from drapto.core.job import EncodeOptions
from drapto.core.routing import Route, Side
from drapto.core.words import size
from drapto.services.encoding.saving import largest_output


def doubts_about_routes(routes: Sequence[Route]) -> tuple[str, ...]:
    """Scripts decide for themselves, and are not run for an estimate."""
    legacy = [route.stage.value for route in routes if route.primary is Side.LEGACY]
    if not legacy:
        return ()
    return (
        f"Legacy scripts would serve {' and '.join(legacy)}. What they make of a film is not "
        "known, so this is the estimate of Drapto's own stages.",
    )


def doubts_about_saving(
    options: EncodeOptions, source_bytes: int, output_bytes: Range
) -> tuple[str, ...]:
    """Whether --max-size-percent would end the encode."""
    allowed = largest_output(options, source_bytes)
    if allowed is None or output_bytes.high <= allowed:
        return ()
    what = "would" if output_bytes.low > allowed else "may"
    return (
        f"--max-size-percent allows {size(allowed)}: the encode {what} be given up for that, with "
        "exit code 6.",
    )
