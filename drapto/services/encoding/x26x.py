"""x265 and x264 through ffmpeg, for players that cannot show AV1."""

from __future__ import annotations

from drapto.core.errors import UsageError
from drapto.core.media import MasteringDisplay
from drapto.core.segments import SegmentTask, VideoSettings
from drapto.services.encoding.command import (
    encoded_color,
    filter_graph,
    input_arguments,
    number,
    output_arguments,
)

# --preset has one scale for all encoders, SVT-AV1's 0 (slowest) to 13 (fastest). Both of these
# encoders have the same ten names; 6 is 'medium', their own default.
PRESET_NAMES = (
    "placebo", "veryslow", "veryslow", "slower", "slower", "slow", "medium", "fast", "faster",
    "faster", "veryfast", "veryfast", "superfast", "ultrafast",
)  # fmt: skip


class X265:
    name = "x265"
    codec = "hevc"
    ffmpeg_encoder = "libx265"
    needs_device = False
    crf_range = (0.0, 51.0)
    is_steerable = False
    codes_grain = False

    def check(self, settings: VideoSettings) -> None:
        check_even(self.name, settings)

    def default_crf(self, width: int) -> float:
        """Below x265's own default of 28, which is meant for small files."""
        if width <= 1280:
            return 20.0
        return 21.0 if width <= 1920 else 22.0

    def arguments(self, task: SegmentTask) -> list[str]:
        return _arguments(
            task, self.ffmpeg_encoder, "yuv420p10le", ["-x265-params", _x265(task.settings)]
        )


class X264:
    name = "x264"
    codec = "h264"
    ffmpeg_encoder = "libx264"
    needs_device = False
    crf_range = (0.0, 51.0)
    is_steerable = False
    codes_grain = False

    def check(self, settings: VideoSettings) -> None:
        check_even(self.name, settings)

    def default_crf(self, width: int) -> float:
        """Below x264's own default of 23, which is meant for small files."""
        if width <= 1280:
            return 19.0
        return 20.0 if width <= 1920 else 21.0

    def arguments(self, task: SegmentTask) -> list[str]:
        # 10-bit H.264 plays almost nowhere: only where 8 bit would lose something.
        pixel_format = "yuv420p10le" if task.settings.source_bit_depth > 8 else "yuv420p"
        return _arguments(
            task, self.ffmpeg_encoder, pixel_format, ["-threads", str(task.settings.lp)]
        )


def check_even(name: str, settings: VideoSettings) -> None:
    """4:2:0 pictures of H.264 and HEVC have even sizes: their cropping counts in chroma samples."""
    width, height = settings.width, settings.height
    if width % 2 or height % 2:
        raise UsageError(
            f"{name} cannot encode a picture of {width}x{height}: both numbers must be even.",
            hint=f"Use --encoder svt-av1, or cut one line off with "
            f"--crop {width // 2 * 2}:{height // 2 * 2}:0:0.",
        )


def _arguments(task: SegmentTask, encoder: str, pixel_format: str, own: list[str]) -> list[str]:
    settings = task.settings
    return [
        *input_arguments(task),
        *("-vf", filter_graph(task, pixel_format)),
        *("-c:v", encoder, "-preset", PRESET_NAMES[settings.preset]),
        *("-crf", number(settings.crf), "-g", str(settings.keyint)),
        *own,
        *output_arguments(task),
    ]


def _x265(settings: VideoSettings) -> str:
    """Parameter sets stay in band, so that segments can be joined; open GOPs could not be."""
    parameters = ["log-level=error", "repeat-headers=1", "open-gop=0", f"pools={settings.lp}"]
    color = encoded_color(settings.color)
    if color.mastering_display is not None:
        parameters.append(f"master-display={_mastering(color.mastering_display)}")
    if color.content_light is not None:
        light = color.content_light
        parameters.append(f"max-cll={light.max_cll},{light.max_fall}")
    return ":".join(parameters)


def _mastering(display: MasteringDisplay) -> str:
    """ST 2086 as x265 writes it: chromaticity in 0.00002, luminance in 0.0001 cd/m²."""

    def point(xy: tuple[float, float]) -> str:
        return f"({round(xy[0] * 50000)},{round(xy[1] * 50000)})"

    return (
        f"G{point(display.green)}B{point(display.blue)}R{point(display.red)}"
        f"WP{point(display.white)}"
        f"L({round(display.max_luminance * 10000)},{round(display.min_luminance * 10000)})"
    )
