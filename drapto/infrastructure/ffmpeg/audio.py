"""Encodes one audio track to Opus in one ffmpeg process, keeping every sample in its place.

One rule for time: a sample belongs to the moment that its timestamp names on the source's own
clock (`-copyts`; nothing is moved to zero on the way in).

- The first sample that the decoder yields, after the codec's own priming and edit lists, is
  where the track starts. The same program is asked for it first, so it is exact; the Opus file
  begins at 0 and its place in the source is handed back as `start_s`. Assembly puts it there.
- Where timestamps jump ahead by more than HOLE_S, silence of exactly that length is put in;
  where they jump back, the overlap is cut off. So the track never drifts from its timestamps
  by more than HOLE_S, and after a hole it is exact again.
- Timestamps that cannot be true (a packet hours beyond the end of the film) make no hole: the
  plan names them, and they are mended before anything is decoded. The rule is in
  core/audio_clock.py.
- Nothing is stretched or squeezed: rounding of timestamps in the container (1 ms in Matroska)
  stays far below HOLE_S and changes no sample.
- The end is where the source's audio ends, before or after the picture's.

Opus's own delay (312 samples) is in the file's header and is taken off by every player.
Tests: tests/infrastructure/ffmpeg/test_audio_encode.py (a beep found in the decoded output).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from drapto.core.audio_clock import HOLE_S
from drapto.core.errors import InputError, ProcessFailedError
from drapto.core.media import MediaInfo
from drapto.core.opening import file_url, input_arguments
from drapto.core.tracks import AudioEncoding, AudioTrackFile, TrackPlan
from drapto.infrastructure.ffmpeg.audio_clock import mending
from drapto.infrastructure.ffmpeg.progress import PROGRESS_OPTIONS, time_watcher
from drapto.infrastructure.ffmpeg.run import run_writer
from drapto.infrastructure.files import cleared, give_name
from drapto.infrastructure.process import run_process
from drapto.infrastructure.stalling import STALL_S

RATE_HZ = 48_000  # Opus knows no other (RFC 7845)
_MAX_PAGE_BYTES = 65_307  # of an Ogg page (RFC 3533)
_NO_PACKET_DECODED = 69  # ffmpeg's exit status where more packets failed than -max_error_rate
_LOG = ("-nostdin", "-hide_banner", "-v", "error")


async def encode_audio(
    media: MediaInfo,
    plan: TrackPlan,
    out: Path,
    *,
    ffmpeg: Path,
    stall_s: float = STALL_S,
    on_progress: Callable[[float], None] = lambda _done_s: None,
) -> AudioTrackFile:
    """Encode `plan.source` of `media` into `out` (Ogg Opus); `on_progress` gets seconds done.

    `out` appears only when it is whole. Errors: InputError if the track holds no sound that
    can be decoded; ProcessFailedError.
    """
    if plan.audio is None:
        raise ValueError("the plan does not encode this track")
    index = plan.source.index
    opened = source_arguments(media.path, plan)
    start_s = await _first_sample_s(media.path, index, opened, ffmpeg, stall_s)
    partial = cleared(out.with_suffix(f".partial{out.suffix}"))
    try:
        await run_writer(
            [ffmpeg, *encode_arguments(opened, plan.audio, start_s, partial)],
            what=f"Encoding audio track {index} of {media.path}",
            out=out,
            on_stdout_line=time_watcher(on_progress),
            stall_s=stall_s,
        )
        duration_s = opus_duration_s(partial)
        give_name(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    on_progress(duration_s)
    return AudioTrackFile(path=out, source_index=index, start_s=start_s, duration_s=duration_s)


def encode_arguments(
    opened: Sequence[str], encoding: AudioEncoding, start_s: Fraction, out: Path
) -> list[str]:
    """Everything after the program's name. `opened` as `source_arguments` gives it, `start_s` is
    the time of the track's first sample."""
    return [
        *_LOG,
        *PROGRESS_OPTIONS,
        *opened,
        *("-af", filter_graph(encoding, start_s)),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *codec_arguments(encoding),
        *("-f", "opus", "-y", file_url(out)),
    ]


def codec_arguments(encoding: AudioEncoding) -> list[str]:
    rate = ("-c:a", "libopus", "-vbr", "on", "-b:a", str(encoding.bit_rate))
    return [*rate, "-mapping_family", str(encoding.mapping_family)]


def filter_graph(encoding: AudioEncoding, start_s: Fraction) -> str:
    """Pin the layout, fill holes, move channels, then count from the first sample."""
    layout = encoding.source_layout
    custom = re.search(r"\((\w+(?:\+\w+)+)\)$", layout or "")
    pinned = custom.group(1) if custom else layout
    filters = []
    if pinned is not None and " " not in pinned:  # unknown orders have no name to pin
        filters.append(f"aformat=channel_layouts={pinned}")
    filters.append(f"aresample={RATE_HZ}:async=1:min_hard_comp={HOLE_S}")
    if encoding.pan is not None:
        filters.append(f"pan={encoding.pan}")
    filters.append(f"asetpts=PTS-{round(start_s * RATE_HZ)}")
    return ",".join(filters)


def probe_arguments(opened: Sequence[str]) -> list[str]:
    """Ask for the first decoded sample's time, one line of framecrc on stdout."""
    return [
        *_LOG,
        *opened,
        *("-frames:a", "1", "-c:a", "pcm_s16le", "-f", "framecrc", "-"),
    ]


def source_arguments(source: Path, plan: TrackPlan) -> list[str]:
    """One track of the source on its own clock; nothing but plain files is opened."""
    index = plan.source.index
    options = ("-copyts", *mending(index, plan.leaps))
    return [*input_arguments(source, *options), "-map", f"0:{index}"]


def parse_first_sample(text: str) -> Fraction | None:
    """The time in seconds of the first frame in framecrc's output; None without a frame."""
    base = re.search(r"^#tb 0: (\d{1,10})/(\d{1,10})", text, re.MULTILINE)
    row = re.search(r"^0,\s*-?\d+,\s*(-?\d{1,19}),", text, re.MULTILINE)
    if base is None or row is None or not int(base.group(2)):
        return None
    return int(row.group(1)) * Fraction(int(base.group(1)), int(base.group(2)))


def opus_duration_s(path: Path) -> float:
    """How long an Ogg Opus file that begins at 0 sounds: last granule minus pre-skip."""
    with path.open("rb") as file:
        head = file.read(_MAX_PAGE_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _MAX_PAGE_BYTES))
        tail = file.read()
    opus_head, last_page = head.find(b"OpusHead"), tail.rfind(b"OggS")
    if opus_head < 0 or last_page < 0:
        raise InputError(f"{path} is not an Ogg Opus file.")
    (pre_skip,) = struct.unpack_from("<H", head, opus_head + 10)  # RFC 7845 section 5.1
    (granule,) = struct.unpack_from("<q", tail, last_page + 6)  # RFC 3533 section 6
    return max(0, int(granule) - int(pre_skip)) / RATE_HZ


async def _first_sample_s(
    source: Path, index: int, opened: Sequence[str], ffmpeg: Path, stall_s: float
) -> Fraction:
    nothing = InputError(
        f"Audio track {index} of {source} holds nothing that can be decoded.",
        hint="Use --audio copy to keep the track as it is, or --audio none.",
    )
    try:
        result = await run_process(
            [ffmpeg, *probe_arguments(opened)],
            what=f"Looking for the first sample of audio track {index} of {source}",
            stall_s=stall_s,
        )
    except ProcessFailedError as error:
        if error.returncode == _NO_PACKET_DECODED:
            raise nothing from error
        raise
    start_s = parse_first_sample(result.stdout.decode("utf-8", "replace"))
    if start_s is None:
        raise nothing
    return start_s
