"""The same frame of a source and its output as two pictures that can be laid side by side.

    pairs = StillPairs(manifest, ffmpeg, scratch_dir)
    pair = await pairs.of(frame=1234)     # after `await pairs.open()`

Frames are paired by their number. Each side's own frame index says which timestamp that number has,
and exactly this frame is decoded; the source's gets the crop and the deinterlacing of the encode.
Both are then made into the picture a player would show: square pixels, turned as the track says,
and for HDR mapped to the brightness of ordinary screens, both sides alike.

Tests: tests/infrastructure/ffmpeg/test_stills.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from drapto.core.deinterlacing import Deinterlacing
from drapto.core.errors import InputError
from drapto.core.film_report import Still, StillPair
from drapto.core.manifest import Manifest
from drapto.core.media import Track, TrackKind
from drapto.core.segments import VideoSettings
from drapto.core.source import SourceVideo
from drapto.core.words import count, shortened
from drapto.infrastructure.ffmpeg.footage import Footage, Signal
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.process import run_process

WIDEST_PX, HIGHEST_PX = 1280, 960  # enough to judge a picture, little enough for twenty in a page
DEADLINE_S = 300.0  # for one picture: two groups of pictures of 8K take a minute on two cores
_JPEG_QUALITY = "3"  # ffmpeg's -q:v, 2 is best: no loss to be seen beside that of an AV1 encode
_PIXEL_FORMAT = "yuv444p10le"  # nothing of either side is lost in it before it is scaled
_HD_LINES = 720  # untagged pictures of fewer lines are BT.601, others BT.709: what players assume


@dataclass(frozen=True)
class _Side:
    """One file: what to decode and which part of it counts, and how a player turns it."""

    footage: Footage
    track: Track


Completed = Callable[[SourceVideo, Deinterlacing], Awaitable[Deinterlacing]]


async def _as_it_is(_video: SourceVideo, work: Deinterlacing) -> Deinterlacing:
    return work


class StillPairs:
    """Call `open` once. Nothing is kept: `scratch_dir` may go when the pictures are there."""

    def __init__(
        self, manifest: Manifest, ffmpeg: Path, scratch_dir: Path, completed: Completed = _as_it_is
    ) -> None:
        """`completed` adds to the deinterlacing of a manifest what manifests leave out."""
        self._manifest = manifest
        self._completed = completed
        self._ffmpeg = ffmpeg
        self._scratch = scratch_dir
        self._reader = PyAvReader(ffmpeg)
        self._sides: tuple[_Side, _Side] | None = None
        self._signal = Signal(None, "tv")  # what both sides are read as, until they are known

    async def open(self) -> None:
        """Errors: InputError if a file is gone, is another one by now, or frames cannot be paired;
        ResourceError if a copy that is needed has no room."""
        manifest = self._manifest
        settings = manifest.settings
        _refuse_changed("source", manifest.source, manifest.source_bytes)
        _refuse_changed("output", manifest.output, manifest.output_bytes)
        encoded = [
            t.source_index
            for t in manifest.tracks
            if t.kind == TrackKind.VIDEO and t.action == "encoded"
        ]
        source = await self._video(manifest.source, encoded[0] if encoded else None)
        source = source.deinterlaced(await self._completed(source, settings.deinterlacing))
        output = await self._video(manifest.output, None)
        frames = manifest.segments[-1].end_frame if manifest.segments else 0
        for name, video in (("source", source), ("output", output)):
            if len(video.index) != frames:
                raise InputError(
                    f"The {name} {video.origin.path} lists {count(len(video.index), 'frame')} and "
                    f"{frames} were encoded, so nobody can say which frame belongs to which."
                )
        self._sides = (
            _Side(Footage.of(source, settings.crop), source.track),
            _Side(Footage.of(output), output.track),
        )
        self._signal = Signal.common(source.track.color, output.track.color)

    async def of(self, frame: int) -> StillPair:
        """Errors: InputError if it cannot be decoded; ProcessFailedError past the deadline."""
        assert self._sides is not None, "open() comes first"
        source, output = self._sides
        return StillPair(
            frame=frame,
            source=await self._still(source, frame),
            output=await self._still(output, frame),
        )

    async def _video(self, path: Path, stream_index: int | None) -> SourceVideo:
        media = await self._reader.probe(path)
        if stream_index is None:
            track = self._reader.main_video(media)
        else:
            try:
                track = media.track(stream_index)
            except KeyError:
                raise InputError(f"{path} has no stream {stream_index} any more.") from None
        return await self._reader.open_video(media, track, self._scratch)

    async def _still(self, side: _Side, frame: int) -> Still:
        """Decodes from a key frame not far before; if that gives no picture, from the beginning."""
        settings = self._manifest.settings
        width, height = _shown_size(side.track, settings)
        steps = [
            side.footage.filters(frame, frame + 1, _PIXEL_FORMAT, self._signal),
            *_for_a_screen(settings, self._signal),
            *_turned(side.track),
        ]
        said = ""
        near_s = side.footage.seek_s(frame, frame + 1, 0.0)
        for seek_s in dict.fromkeys((near_s, None)):
            with tempfile.TemporaryDirectory(prefix="still-", dir=self._scratch) as folder:
                file = Path(folder) / "still.jpg"
                command = still_command(self._ffmpeg, side.footage, steps, file, seek_s)
                what = f"Taking frame {frame} of {side.footage.path}"
                # Damage is told by the picture that is missing, not by the exit status.
                ended = await run_process(command, what=what, deadline_s=DEADLINE_S, check=False)
                if file.is_file():
                    return Still(jpeg=file.read_bytes(), width=width, height=height)
                said = f" ffmpeg said: {shortened(ended.stderr_tail)}" if ended.stderr_tail else ""
        raise InputError(f"Frame {frame} of {side.footage.path} cannot be decoded.{said}")


def still_command(
    ffmpeg: Path, footage: Footage, steps: Sequence[str], out: Path, seek_s: float | None
) -> list[str]:
    """Writes the frame that `steps` leave as a JPEG file; none if the seek landed behind it."""
    return [
        *(str(ffmpeg), "-nostdin", "-hide_banner", "-v", "error", "-y"),
        *footage.input(seek_s),
        *("-map", f"0:{footage.stream_index}", "-vf", ",".join(steps), "-frames:v", "1"),
        *("-c:v", "mjpeg", "-q:v", _JPEG_QUALITY, "-pix_fmt", "yuvj444p", "-update", "1"),
        *("-f", "image2", str(out)),
    ]


def _refuse_changed(name: str, path: Path, size_bytes: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise InputError(f"The {name} {path} cannot be read: {error.strerror}.") from error
    if found != size_bytes:
        raise InputError(
            f"The {name} {path} has changed: it has {found} bytes, and had {size_bytes} when it "
            "was compared."
        )


def _upright_size(settings: VideoSettings) -> tuple[int, int]:
    """Of the picture in square pixels, before it is turned, made to fit."""
    shape = settings.sample_aspect_ratio or Fraction(1)
    width, height = float(settings.width * (shape if shape > 0 else 1)), float(settings.height)
    scale = min(1.0, WIDEST_PX / width, HIGHEST_PX / height)
    return max(2, round(width * scale)), max(2, round(height * scale))


def _shown_size(track: Track, settings: VideoSettings) -> tuple[int, int]:
    width, height = _upright_size(settings)
    return (height, width) if track.rotation_deg in (90, 270) else (width, height)


def _turned(track: Track) -> list[str]:
    """Turned clockwise first and then mirrored left to right (side_data.py)."""
    turn = {
        90: ["transpose=clock"],
        180: ["hflip", "vflip"],
        270: ["transpose=cclock"],
    }.get(track.rotation_deg, [])
    return [*turn, "hflip"] if track.mirrored else turn


def _for_a_screen(settings: VideoSettings, signal: Signal) -> list[str]:
    """From `signal`, which both sides were brought to, to the BT.601 full range of JPEG files.

    HDR is brought down with the Hable curve: not how a player would show it, but the same for both.
    """
    width, height = _upright_size(settings)
    size = f"w={width}:h={height}"
    given = "full" if signal.range == "pc" else "limited"
    if settings.color.transfer in _HDR_TRANSFERS:
        tags = f"tin={settings.color.transfer}:pin=bt2020:min=bt2020nc:rin={given}"
        return [
            f"zscale={size}:{tags}:t=linear:npl=100:filter=lanczos",
            "format=gbrpf32le",
            "zscale=p=bt709",
            "tonemap=tonemap=hable:desat=0",
            "zscale=t=bt709:m=bt470bg:r=full",
            "format=yuv444p",
            "format=yuvj444p",
        ]
    usual = "bt709" if settings.height >= _HD_LINES else "bt601"
    matrix = _SCALE_MATRICES.get(signal.matrix or "", usual)
    return [
        f"scale={size}:flags=lanczos:in_color_matrix={matrix}:in_range={given}"
        ":out_color_matrix=bt601:out_range=full"
    ]


_HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})
_SCALE_MATRICES = {  # H.273 names of matrices, and what ffmpeg's scale filter calls them
    "bt709": "bt709",
    "smpte170m": "bt601",
    "bt470bg": "bt601",
    "fcc": "fcc",
    "smpte240m": "smpte240m",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}
