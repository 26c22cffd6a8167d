"""SVT-AV1 through ffmpeg: the default encoder. 10 bit always, quality by CRF."""

from __future__ import annotations

from drapto.core import film_grain
from drapto.core.media import ContentLight, MasteringDisplay
from drapto.core.segments import SegmentTask, VideoSettings
from drapto.services.encoding.command import (
    filter_graph,
    input_arguments,
    number,
    output_arguments,
)

# 10 bit compresses 8-bit sources better too: less banding and drift.
PIXEL_FORMAT = film_grain.GIVEN_FORMAT


class SvtAv1:
    name = "svt-av1"
    codec = "av1"
    ffmpeg_encoder = "libsvtav1"
    needs_device = False
    # Below 2, SVT-AV1 4.2 spoils the picture at presets 11 to 13: of a test pattern CRF 1.5 left
    # 10 dB (XPSNR) and 2 left 41, of a real clip 1.25 left 24 dB (PSNR) and 1.5 left 48.
    crf_range = (2.0, 63.0)
    is_steerable = True
    codes_grain = True

    def check(self, settings: VideoSettings) -> None:
        """Takes every size, odd ones included."""

    def default_crf(self, width: int) -> float:
        """24 up to 1280 wide, 26 up to 1920, 28 above: what the eye forgives grows with size."""
        if width <= 1280:
            return 24.0
        return 26.0 if width <= 1920 else 28.0

    def arguments(self, task: SegmentTask) -> list[str]:
        settings = task.settings
        return [
            *input_arguments(task),
            *("-vf", filter_graph(task, PIXEL_FORMAT)),
            *("-c:v", self.ffmpeg_encoder, "-preset", str(settings.preset)),
            *("-crf", str(round(settings.crf)), "-g", str(settings.keyint)),
            *("-svtav1-params", _parameters(settings, task.lp)),
            *("-dolbyvision", "0"),
            *output_arguments(task),
        ]


def _parameters(settings: VideoSettings, lp: int) -> str:
    """SVT-AV1's own options. Its crf takes quarter steps, which ffmpeg's -crf does not."""
    parameters = [f"crf={number(settings.crf)}", f"lp={lp}"]
    parameters += film_grain.parameters(settings.film_grain)
    if settings.color.chroma_location == "topleft":
        parameters.append("chroma-sample-position=topleft")
    if settings.color.mastering_display is not None:
        parameters.append(f"mastering-display={_mastering(settings.color.mastering_display)}")
    if settings.color.content_light is not None:
        parameters.append(f"content-light={_light(settings.color.content_light)}")
    return ":".join(parameters)


def _mastering(display: MasteringDisplay) -> str:
    def point(xy: tuple[float, float]) -> str:
        return f"({xy[0]:.5f},{xy[1]:.5f})"

    return (
        f"G{point(display.green)}B{point(display.blue)}R{point(display.red)}"
        f"WP{point(display.white)}"
        f"L({display.max_luminance:.4f},{display.min_luminance:.4f})"
    )


def _light(light: ContentLight) -> str:
    return f"{light.max_cll},{light.max_fall}"
