"""--max-size-percent: an output that saves too little is given up as early as that is certain."""

from __future__ import annotations

from drapto.core.errors import NoSavingError
from drapto.core.job import EncodeOptions
from drapto.core.words import size


def largest_output(options: EncodeOptions, source_bytes: int) -> int | None:
    """Bytes that the output may have; None: as many as it takes."""
    percent = options.max_size_percent
    return None if percent is None else int(source_bytes * percent / 100)


def require_saving(options: EncodeOptions, source_bytes: int, output_bytes: int) -> None:
    """Of the output, or of as much of it as there is. Errors: NoSavingError."""
    allowed = largest_output(options, source_bytes)
    if allowed is not None and output_bytes > allowed:
        raise no_saving(output_bytes, allowed)


def no_saving(expected_bytes: int, allowed_bytes: int) -> NoSavingError:
    return NoSavingError(
        f"No saving: the output would have {size(expected_bytes)} or more, and --max-size-percent "
        f"allows {size(allowed_bytes)}. It was given up, and the source stays as it is.",
        hint="Aim at a lower quality, allow more, or keep the source.",
    )
