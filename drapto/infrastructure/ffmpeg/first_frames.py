"""Decodes the first frames of a video stream for the facts that only frames carry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from drapto.core.color_codes import MATRICES, PRIMARIES, RANGES, TRANSFERS
from drapto.core.media import ContentLight, DolbyVision, MasteringDisplay
from drapto.infrastructure.ffmpeg.opening import open_input
from drapto.infrastructure.ffmpeg.side_data import (
    content_light,
    dolby_vision_of_frame,
    mastering_display,
    orientation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

# Dynamic metadata is in every frame of the streams that have it, so one would do; three
# survive a stream whose first frame lost its SEI messages in a cut.
FRAMES_LOOKED_AT = 3
# A stream cut at a random place shows nothing before its next key frame, 10 s at most in
# broadcast and disc formats: 600 packets at 60 fps. Beyond that the frames stay unknown.
PACKETS_LOOKED_AT = 600


@dataclass(frozen=True)
class FirstFrames:
    """What the first frames of a stream say. Everything is None or False where they do not."""

    frames: int = 0
    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: str | None = None
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    hdr10_plus: bool = False
    dolby_vision: DolbyVision | None = None
    rotation_deg: int = 0
    mirrored: bool = False
    captions: bool = False


def look_at_first_frames(path: Path, stream_index: int, codec: str) -> FirstFrames:
    """Decode up to three frames. A stream that does not decode gives what there was."""
    import av

    found = FirstFrames()
    with open_input(path) as container:
        stream = container.streams[stream_index]
        if not isinstance(stream, av.VideoStream) or stream.codec_context is None:
            return found
        stream.codec_context.thread_count = 1  # frame threads would only add delay
        for number, packet in enumerate(container.demux(stream)):
            try:
                frames = stream.codec_context.decode(packet)
            except (av.error.FFmpegError, ValueError):
                frames = []
            for frame in frames:
                found = _merge(found, frame, codec)
                if found.frames >= FRAMES_LOOKED_AT:
                    return found
            if number >= PACKETS_LOOKED_AT and not found.frames:
                return found
    return found


def _merge(found: FirstFrames, frame: VideoFrame, codec: str) -> FirstFrames:
    """Add what one frame says; the first frame to say something wins."""
    # Iterating PyAV's container yields the entries themselves, not the keys of a mapping.
    entries = cast("Iterable[SideData]", frame.side_data)
    data = {entry.type.name: bytes(entry) for entry in entries}
    transfer = TRANSFERS.get(int(frame.color_trc))
    rotation, mirrored = orientation(data.get("DISPLAYMATRIX", b""))
    first = not found.frames
    return replace(
        found,
        frames=found.frames + 1,
        primaries=found.primaries or PRIMARIES.get(int(frame.color_primaries)),
        transfer=found.transfer or transfer,
        matrix=found.matrix or MATRICES.get(int(frame.colorspace)),
        range=found.range or RANGES.get(int(frame.color_range)),
        mastering_display=found.mastering_display
        or mastering_display(data.get("MASTERING_DISPLAY_METADATA", b"")),
        content_light=found.content_light or content_light(data.get("CONTENT_LIGHT_LEVEL", b"")),
        hdr10_plus=found.hdr10_plus or "DYNAMIC_HDR_PLUS" in data,
        dolby_vision=found.dolby_vision
        or dolby_vision_of_frame(data.get("DOVI_METADATA", b""), codec, transfer),
        rotation_deg=rotation if first else found.rotation_deg,
        mirrored=mirrored if first else found.mirrored,
        captions=found.captions or "A53_CC" in data,
    )
