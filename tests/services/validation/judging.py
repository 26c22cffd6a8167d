"""Runs the validator over real files: the source is read once, every output anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.job import EncodeOptions
from drapto.core.manifest import Manifest, ManifestRow
from drapto.core.media import FrameIndex
from drapto.core.segments import VideoSettings
from drapto.core.source import SourceVideo
from drapto.core.tracks import Container, MuxPlan
from drapto.infrastructure.ffmpeg.facts import DECODABLE, collect_facts
from drapto.infrastructure.ffmpeg.probe import probe_file
from drapto.services.assembly.changes import copy_instead
from drapto.services.assembly.service import plan_mux
from drapto.services.validation.service import Validator, tracks_to_read

Failure = tuple[str, str]
"""A row by its check and its subject."""


@dataclass(frozen=True)
class Judge:
    """A source with its plan, ready to judge outputs of it."""

    video: SourceVideo
    plan: MuxPlan
    settings: VideoSettings
    facts: FileFacts

    async def judge(self, output: Path, *, decode: bool = True) -> Manifest:
        return Validator().validate(
            video=self.video,
            plan=self.plan,
            settings=self.settings,
            source_facts=self.facts,
            output_facts=await collect_facts(output, decode=DECODABLE if decode else (), threads=1),
        )


async def judge_of(
    source: Path, *, container: Container = Container.MATROSKA, copied: tuple[int, ...] = ()
) -> Judge:
    """A judge for outputs of `source` with its first video encoded and its audio as Opus.

    The audio tracks `copied` are copied instead.
    """
    media = probe_file(source)
    track = next(t for t in media.tracks if t.kind == "video" and not t.is_cover_art)
    plan = plan_mux(media, track, video_codec="av1", container=container, options=EncodeOptions())
    for index in copied:
        plan = copy_instead(plan, index, "the test wants it so")
    seen = await collect_facts(source, streams=(track.index,), media=media)
    video = SourceVideo(media, track, source, track.index, index_of(seen.tracks[0]))
    settings = VideoSettings(
        width=track.width or 0,
        height=track.height or 0,
        source_width=track.width or 0,
        source_height=track.height or 0,
        color=track.color,
        sample_aspect_ratio=track.sample_aspect_ratio,
    )
    facts = await collect_facts(source, streams=tracks_to_read(plan), media=media)
    return Judge(video, plan, settings, facts)


def index_of(track: TrackFacts) -> FrameIndex:
    """A frame index from packets that all have times and durations."""
    key = np.ones(len(track), dtype=np.bool_)
    return FrameIndex(track.time_base, track.pts.copy(), track.duration.copy(), key)


def failures(manifest: Manifest) -> set[Failure]:
    return {(row.check, row.subject) for row in manifest.failed}


def the_row(manifest: Manifest, check: str, subject: str = "") -> ManifestRow:
    """The only row of that check (and subject)."""
    found = [r for r in manifest.rows if r.check == check and subject in r.subject]
    assert len(found) == 1, [str(row) for row in found]
    return found[0]
