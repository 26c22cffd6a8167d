"""Makes the final container: one ffmpeg run that copies packets and writes what the plan says.

The one rule for time: every track, chapter and subtitle keeps the source's own clock
(`-copyts`) plus one shift that is the same for all of them, so nothing moves against anything
else. The shift puts the earliest track at 0 (a source that starts at 5 s, or before 0). In
Matroska and WebM it is a whole number of milliseconds, so timestamps that were exact in the
source's milliseconds stay so.

Tags, languages, titles and chapters are written from a description of the plan (an FFMETADATA
file), never copied along, so no stale tag gets through. Cover art in Matroska is an
attachment, as every player expects it; in MP4 it is a cover item.

    done = await mux(plan, source=media, video=track_file, audio={1: opus}, out=path,
                     ffmpeg=program, work_dir=directory)

Tests: tests/infrastructure/ffmpeg/test_mux.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import floor
from pathlib import Path

from drapto.core.media import ColorInfo, MediaInfo, Track
from drapto.core.opening import MEDIA_FORMATS, METADATA_FORMATS, file_url, input_arguments
from drapto.core.tracks import Assembled, AudioTrackFile, Container, MuxPlan, VideoTrackFile
from drapto.infrastructure.ffmpeg.audio_clock import mending
from drapto.infrastructure.ffmpeg.language_tags import write_language_tags
from drapto.infrastructure.ffmpeg.metadata_file import COVER_TYPES, cover_names, metadata_text
from drapto.infrastructure.ffmpeg.progress import PROGRESS_OPTIONS, time_watcher
from drapto.infrastructure.ffmpeg.run import run_writer
from drapto.infrastructure.files import cleared, give_name
from drapto.infrastructure.stalling import STALL_S

MOVIE_TIMESCALE = 48_000  # at least this many ticks a second for MP4 edit lists: one per sample
_LOG = ("-nostdin", "-hide_banner", "-v", "error")


@dataclass(frozen=True)
class MuxInputs:
    """The files that go into a container. `covers` and `metadata` lie in the work directory."""

    source: MediaInfo
    video: VideoTrackFile
    audio: Mapping[int, AudioTrackFile]  # by index in the source
    metadata: Path
    covers: Mapping[int, Path]  # by index in the source; Matroska only
    color: ColorInfo


async def mux(
    plan: MuxPlan,
    *,
    source: MediaInfo,
    video: VideoTrackFile,
    audio: Mapping[int, AudioTrackFile],
    out: Path,
    ffmpeg: Path,
    work_dir: Path,
    stall_s: float = STALL_S,
    color: ColorInfo | None = None,
    on_progress: Callable[[float], None] = lambda _done_s: None,
) -> Assembled:
    """Write the container `out`; it appears only when it is whole.

    `audio` holds a file for every track in `plan.audio_encodings`. `color` is where the HDR
    facts of the container come from (default: the source track's). `on_progress` gets seconds
    of the output written. Errors: ProcessFailedError; ResourceError on a full disk.
    """
    shift_s = global_shift_s(plan, video, audio)
    covers = await _extract_covers(plan, source, ffmpeg, work_dir, stall_s)
    inputs = MuxInputs(
        source=source,
        video=video,
        audio=audio,
        metadata=work_dir / "metadata.txt",
        covers=covers,
        color=color or plan.video.source.color,
    )
    cleared(inputs.metadata).write_text(metadata_text(plan, shift_s), encoding="utf-8", newline="")
    partial = cleared(out.with_suffix(f".partial{out.suffix}"))
    try:
        await run_writer(
            [ffmpeg, *mux_arguments(plan, inputs, shift_s, partial)],
            what=f"Assembling {out.name}",
            out=out,
            on_stdout_line=time_watcher(on_progress),
            stall_s=stall_s,
        )
        write_language_tags(partial, _tagged_languages(plan))
        give_name(partial, out)
    finally:
        partial.unlink(missing_ok=True)
        for cover in covers.values():
            cover.unlink(missing_ok=True)
    return Assembled(path=out, shift_s=shift_s)


def _tagged_languages(plan: MuxPlan) -> list[tuple[str | None, str]]:
    """(code, tag) of every track that has a tag; none in MP4, which has no room for them."""
    sources = [track.source for track in (plan.video, *plan.tracks)]
    tagged = [(t.language, t.language_tag) for t in sources if t.language_tag is not None]
    return [] if plan.container is Container.MP4 else tagged


def global_shift_s(
    plan: MuxPlan, video: VideoTrackFile, audio: Mapping[int, AudioTrackFile]
) -> Fraction:
    """Seconds to add to every time of the source so that the earliest track starts at 0."""
    starts = [video.start_s]
    for track in plan.tracks:
        if track.audio is not None:
            starts.append(audio[track.source.index].start_s)
        elif not track.source.is_cover_art and track.source.start_pts is not None:
            starts.append(track.source.start_pts * track.source.time_base)
    earliest = min(starts)
    if plan.container is Container.MP4:
        return -earliest
    return -Fraction(floor(earliest * 1000), 1000)


def mux_arguments(plan: MuxPlan, inputs: MuxInputs, shift_s: Fraction, out: Path) -> list[str]:
    """Everything after the program's name. The order of output tracks is the plan's."""
    mended = [mending(t.source.index, t.leaps) for t in plan.tracks if t.audio is None]
    opened = _Inputs(inputs.source.path, [*_offset(shift_s), *chain.from_iterable(mended)])
    opened.add(inputs.metadata, "-f", "ffmetadata", formats=METADATA_FORMATS)
    video = opened.add(
        inputs.video.path,
        *_offset(inputs.video.start_s + shift_s),
        *_orientation(plan.video.source),
        *_hdr(inputs.color),
    )
    maps = ["-map", f"{video}:v:0"]
    codecs: list[str] = []
    for track in plan.tracks:
        place = len(maps) // 2
        index = track.source.index
        if track.audio is not None:
            encoded = inputs.audio[index]
            file = opened.add(encoded.path, *_offset(encoded.start_s + shift_s))
            maps += ["-map", f"{file}:a:0"]
        elif index not in inputs.covers:
            maps += ["-map", f"{opened.source()}:{index}"]
        if track.action == "convert":
            codecs += [f"-c:{place}", track.codec]
    for number, _ in enumerate(plan.attachments):
        maps += ["-map", f"{opened.source()}:t:{number}"]
    mapped = len(maps) // 2
    attached = _attached(plan, inputs.covers, first_place=mapped)
    return [
        *_LOG,
        *PROGRESS_OPTIONS,
        *opened.arguments,
        *maps,
        *attached,
        *("-c", "copy", *codecs, "-copyinkf"),
        *_described(plan, tracks=mapped + len(inputs.covers)),
        *_dispositions(plan, inputs.covers),
        *_container_options(plan, inputs.video),
        *("-avoid_negative_ts", "disabled", "-f", str(plan.container), "-y"),
        file_url(out),
    ]


class _Inputs:
    """Numbers the inputs as they are opened; the source is opened once, if at all."""

    def __init__(self, source: Path, source_options: Sequence[str]) -> None:
        self.arguments: list[str] = []
        self._count = 0
        self._source: int | None = None
        self._source_path, self._source_options = source, source_options

    def add(self, path: Path, *options: str, formats: str = MEDIA_FORMATS) -> int:
        self.arguments += input_arguments(
            path, *options, "-copyts", formats=formats, only_copied=True
        )
        self._count += 1
        return self._count - 1

    def source(self) -> int:
        if self._source is None:
            self._source = self.add(self._source_path, *self._source_options)
        return self._source


def _offset(seconds: Fraction) -> tuple[str, ...]:
    """-itsoffset in microseconds, which is ffmpeg's own unit for it."""
    microseconds = round(seconds * 1_000_000)
    return ("-itsoffset", f"{microseconds}us") if microseconds else ()


def _orientation(track: Track) -> list[str]:
    """ffmpeg turns counter-clockwise, then mirrors; a Track counts clockwise."""
    turn = ["-display_rotation:v:0", str(-track.rotation_deg)] if track.rotation_deg else []
    flip = ["-display_hflip:v:0"] if track.mirrored else []
    if flip and not turn:
        turn = ["-display_rotation:v:0", "0"]
    return turn + flip


def _hdr(color: ColorInfo) -> list[str]:
    arguments: list[str] = []
    display = color.mastering_display
    if display is not None:

        def xy(point: tuple[float, float]) -> str:
            return f"({round(point[0] * 50_000)},{round(point[1] * 50_000)})"

        luminances = (round(display.max_luminance * 10_000), round(display.min_luminance * 10_000))
        value = f"G{xy(display.green)}B{xy(display.blue)}R{xy(display.red)}"
        value += f"WP{xy(display.white)}L({luminances[0]},{luminances[1]})"
        arguments += ["-mastering_display:v:0", value]
    light = color.content_light
    if light is not None:
        arguments += ["-content_light:v:0", f"{light.max_cll},{light.max_fall}"]
    return arguments


def _attached(plan: MuxPlan, covers: Mapping[int, Path], first_place: int) -> list[str]:
    """Covers as attachments. ffmpeg takes the name from the file unless told otherwise here."""
    tracks = [track.source for track in plan.tracks if track.source.index in covers]
    arguments: list[str] = []
    for place, (track, name) in enumerate(zip(tracks, cover_names(tracks), strict=True)):
        arguments += ["-attach", file_url(covers[track.index])]
        arguments += [f"-metadata:s:{first_place + place}", f"filename={name}"]
    return arguments


def _described(plan: MuxPlan, tracks: int) -> list[str]:
    """Tags and chapters come from the metadata file, which is input 0, and from nowhere else."""
    arguments = ["-map_metadata:g", "0:g"]
    for place in range(tracks):
        arguments += [f"-map_metadata:s:{place}", f"0:s:{place}"]
    return [*arguments, "-map_chapters", "0" if plan.chapters else "-1"]


def _dispositions(plan: MuxPlan, covers: Mapping[int, Path]) -> list[str]:
    arguments: list[str] = []
    mapped = [plan.video, *(t for t in plan.tracks if t.source.index not in covers)]
    for place, track in enumerate(mapped):
        names = "+".join(sorted(track.dispositions)) or "0"
        arguments += [f"-disposition:{place}", names]
    return arguments


def _durations(plan: MuxPlan, video: VideoTrackFile) -> list[str]:
    """Where packets are not in the order of display, the track file's durations are of another
    frame, and a long one would end far behind the last frame: so none is longer than that
    one's. Of the others players make nothing: they wait for the next frame. (Without any
    duration libavformat makes one up from the average rate.)"""
    if plan.video.codec == "av1" or not video.last_duration:
        return []
    last = f"eq(PTS-STARTPTS\\,{video.last_pts})"
    duration = f"if({last}\\,{video.last_duration}\\,min(DURATION\\,{video.last_duration}))"
    return ["-bsf:0", f"setts=pts=PTS:dts=DTS:duration={duration}"]


def _container_options(plan: MuxPlan, video: VideoTrackFile) -> list[str]:
    if plan.container is not Container.MP4:
        return [*_durations(plan, video), "-cues_to_front", "1"]
    factor = -(-MOVIE_TIMESCALE // video.timescale)
    hvc1 = plan.video.codec == "hevc" and not video.inline_parameter_sets
    return [
        *_durations(plan, video),
        *(("-strict", "unofficial") if video.dolby_vision else ()),  # or no record is written
        *(("-tag:0", "hvc1") if hvc1 else ()),  # the only HEVC tag that Apple's players open
        *("-video_track_timescale", str(video.timescale)),
        *("-movie_timescale", str(video.timescale * factor)),
        *("-movflags", "+faststart"),
    ]


async def _extract_covers(
    plan: MuxPlan, source: MediaInfo, ffmpeg: Path, work_dir: Path, stall_s: float
) -> dict[int, Path]:
    """Matroska covers as files, to be attached; nothing for the other containers."""
    if plan.container is not Container.MATROSKA:
        return {}
    tracks = [plan_.source for plan_ in plan.tracks if plan_.source.is_cover_art]
    files = {t.index: work_dir / f"cover-{t.index}.{COVER_TYPES[t.codec][1]}" for t in tracks}
    for file in files.values():
        cleared(file)
    if files:
        await run_writer(
            [ffmpeg, *cover_arguments(source.path, files)],
            what=f"Taking the cover art out of {source.path}",
            out=work_dir,
            stall_s=stall_s,
        )
    return files


def cover_arguments(source: Path, files: Mapping[int, Path]) -> list[str]:
    """Write each attached picture, packet as it is, into a file."""
    arguments = [*_LOG, *input_arguments(source, only_copied=True)]
    for index, file in files.items():
        arguments += ["-map", f"0:{index}", "-c", "copy", "-frames:v", "1"]
        arguments += ["-f", "data", "-y", file_url(file)]
    return arguments
