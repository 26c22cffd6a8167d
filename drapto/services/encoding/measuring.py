"""What an encoded segment is compared with: exactly the frames that its encoder was given.

The reference goes through the same filters as the encoder's input: the same seek, the same frames
by their timestamps, the same pictures made of fields, the same crop. So nothing is paired by
time, and what was cut away on purpose does not count as a loss.

Nor does film grain that the encoder took off and the player makes anew. There the base layer is
compared with the denoised source: a second, lossless encode on the way through the same ffmpeg,
decoded again without grain.
"""

from __future__ import annotations

from pathlib import Path

from drapto.core import film_grain, opening
from drapto.core.interfaces import QualityMetric
from drapto.core.quality import Reference
from drapto.core.segments import SegmentTask
from drapto.services.encoding.command import filter_graph, source_arguments
from drapto.services.encoding.svt_av1 import PIXEL_FORMAT

ENCODED_BITS = 10  # svt-av1's; of an 8-bit encode nothing is lost by it


def measuring_arguments(
    task: SegmentTask, encoded: Path, metric: QualityMetric, log: str
) -> list[str]:
    """ffmpeg's arguments, from the inputs on. Errors: ValueError if nothing is to be measured."""
    if task.measuring is None:
        raise ValueError("this task is not to be measured")
    form = metric.pixel_format(ENCODED_BITS)
    comparing = metric.graph(
        task.measuring,
        encoded="[encoded]",
        original="[original]",
        frame_rate=task.settings.frame_rate,
        log=log,
        threads=1,
    )
    decoded = f"[0:v:0]format={form}[encoded]"
    stream = f"1:{task.stream_index}"
    if task.measuring.reference is Reference.SOURCE:
        graph = f"{decoded};[{stream}]{filter_graph(task, form)}[original];{comparing}"
        return [
            *opening.input_arguments(encoded, "-threads", "1"),
            *source_arguments(task),
            *("-filter_complex_threads", "1", "-filter_complex", graph, "-f", "null", "-"),
        ]
    graph = f"{decoded};[dec:0]format={form}[original];{comparing}"
    return [
        *opening.input_arguments(encoded, "-threads", "1", *film_grain.BASE_LAYER),
        *source_arguments(task),
        *("-filter_complex_threads", "1"),
        *film_grain.compared_with_denoised(
            task.settings.film_grain, stream, filter_graph(task, PIXEL_FORMAT), graph
        ),
    ]
