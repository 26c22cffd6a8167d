"""Assembly: what the output will hold. A pure decision; infrastructure/ffmpeg/mux.py does it.

Promised: every track of the source is named exactly once, either with its place in the
output or with the reason why it has none; nothing is left out silently. With strict tracks a
loss is an error before any encoding starts.

    plan = plan_mux(media, video, video_codec="av1", container=container_for(output),
                    options=options)

Tests: tests/services/assembly/.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from drapto.core.errors import InputError, UsageError
from drapto.core.job import EncodeOptions, TrackOutcome
from drapto.core.media import Attachment, Chapter, MediaInfo, Track, TrackKind
from drapto.core.tracks import AudioEncoding, Container, MuxPlan, TrackPlan
from drapto.core.words import count
from drapto.services.assembly.containers import (
    container_for,
    holds_attachments,
    holds_audio,
    holds_cover,
    holds_video,
    subtitle_fate,
)
from drapto.services.assembly.tags import global_tags, timecode_of, track_tags
from drapto.services.encoding.audio import decide_audio

__all__ = ["container_for", "plan_mux"]

Action = Literal["encode", "copy", "convert"]
_SAID = {"encode": "encoded", "copy": "copied", "convert": "converted"}


def plan_mux(
    media: MediaInfo,
    video: Track,
    *,
    video_codec: str,
    container: Container,
    options: EncodeOptions,
) -> MuxPlan:
    """What becomes of every track of `media` when `video` is encoded as `video_codec`.

    Errors: UsageError if the container cannot hold the video codec; InputError, naming every
    loss, with `options.strict_tracks` (what the user asked to leave out is no loss).
    """
    if not holds_video(container, video_codec):
        raise UsageError(
            f"A {container} file cannot hold {video_codec} video.",
            hint="Choose another --encoder, or give the output the extension .mkv.",
        )
    sorted_out = _Sorter(media, video, container, options)
    for track in media.tracks:
        if track.index != video.index:
            sorted_out.add(track)
    chapters = sorted_out.chapters_kept()
    attachments = media.attachments if holds_attachments(container) else ()
    if not attachments:
        for attachment in media.attachments:
            sorted_out.lose(_attachment_outcome(attachment, container))
    if options.strict_tracks:
        _refuse_losses(media, container, sorted_out.losses)
    return MuxPlan(
        container=container,
        video=_video_plan(media, video, video_codec),
        tracks=tuple(sorted_out.tracks),
        folded=tuple(sorted_out.folded),
        dropped=tuple(sorted_out.dropped),
        chapters=chapters,
        attachments=attachments,
        tags=global_tags(media),
        notes=_notes(media, video, container),
    )


class _Sorter:
    """Collects the tracks beside the main video, in the source's order, cover art last."""

    def __init__(
        self, media: MediaInfo, video: Track, container: Container, options: EncodeOptions
    ) -> None:
        self._media = media
        self._video = video
        self._container = container
        self._options = options
        self.tracks: list[TrackPlan] = []
        self.folded: list[TrackOutcome] = []
        self.dropped: list[TrackOutcome] = []
        self.losses: list[TrackOutcome] = []

    def add(self, track: Track) -> None:
        if track.is_cover_art:
            self._add_cover(track)
        elif track.kind is TrackKind.VIDEO:
            self._drop(track, "another video stream: only one is encoded (--video-stream)")
        elif track.kind is TrackKind.AUDIO:
            self._add_audio(track)
        elif track.kind is TrackKind.SUBTITLE:
            self._add_subtitle(track)
        else:
            self._add_data(track)

    def lose(self, outcome: TrackOutcome) -> None:
        self.dropped.append(outcome)
        self.losses.append(outcome)

    def chapters_kept(self) -> tuple[Chapter, ...]:
        """MP4 shows one chapter at a time: of those that begin together it has the first."""
        chapters = self._media.chapters
        if self._container is not Container.MP4:
            return chapters
        begun = [b.start_s > a.start_s for a, b in pairwise(chapters)]
        kept = [True, *begun][: len(chapters)]
        for chapter in (c for c, keep in zip(chapters, kept, strict=True) if not keep):
            self.lose(_chapter_outcome(chapter))
        return tuple(c for c, keep in zip(chapters, kept, strict=True) if keep)

    def _drop(self, track: Track, why: str) -> None:
        self.lose(_outcome(track, "dropped", why))

    def _add_cover(self, track: Track) -> None:
        if holds_cover(self._container, track.codec):
            self.tracks.append(_keep(track, "copy", track.codec, f"cover art ({track.codec})"))
        else:
            self._drop(track, f"{self._container} cannot hold a {track.codec} cover")

    def _add_audio(self, track: Track) -> None:
        holdable = holds_audio(self._container, track.codec)
        mode = self._options.audio
        decision = decide_audio(track, self._container, mode=mode, holdable=holdable)
        if decision.action == "drop":
            outcome = _outcome(track, "dropped", decision.detail)
            self.dropped.append(outcome)
            self.losses += [] if decision.wanted else [outcome]
            return
        codec = "opus" if decision.action == "encode" else track.codec
        plan = _keep(track, decision.action, codec, decision.detail, decision.encoding)
        self.tracks.append(plan)

    def _add_subtitle(self, track: Track) -> None:
        action, said = subtitle_fate(self._container, track.codec)
        if action == "drop":
            self._drop(track, said)
        elif action == "convert":
            self.tracks.append(_keep(track, "convert", said, f"{track.codec} -> {said}"))
        else:
            self.tracks.append(_keep(track, "copy", said, track.codec))

    def _add_data(self, track: Track) -> None:
        timecode = timecode_of(track)
        if timecode is not None and timecode == _timecode(self._media, self._video):
            said = f"timecode {timecode} kept with the video track"
            self.folded.append(_outcome(track, "converted", said))
        elif _is_chapter_track(self._media, track):
            self.folded.append(_outcome(track, "converted", "chapter track kept as chapters"))
        else:
            self._drop(track, f"{self._container} cannot hold {track.codec} data")


def _video_plan(media: MediaInfo, video: Track, codec: str) -> TrackPlan:
    detail = f"{video.codec.upper()} -> {codec.upper()}"
    plan = _keep(video, "encode", codec, detail)
    timecode = _timecode(media, video)
    return plan.model_copy(
        update={"tags": plan.tags | ({"timecode": timecode} if timecode else {})}
    )


def _timecode(media: MediaInfo, video: Track) -> str | None:
    """The timecode that the output's video carries: its own, or the file's only one."""
    own = timecode_of(video)
    if own is not None:
        return own
    found = {timecode_of(track) for track in media.of_kind(TrackKind.DATA)} - {None}
    return found.pop() if len(found) == 1 else None


def _is_chapter_track(media: MediaInfo, track: Track) -> bool:
    """QuickTime keeps chapters as a text track; ffmpeg shows it as 'bin_data' beside them."""
    return track.codec == "bin_data" and bool(media.chapters) and "mov" in media.format_name


def _keep(
    track: Track,
    action: Action,
    codec: str,
    detail: str,
    audio: AudioEncoding | None = None,
) -> TrackPlan:
    return TrackPlan(
        source=track,
        action=action,
        codec=codec,
        audio=audio,
        tags=track_tags(track, encoded=action != "copy"),
        dispositions=track.dispositions,
        outcome=_outcome(track, _SAID[action], detail),
    )


def _outcome(track: Track, action: str, detail: str) -> TrackOutcome:
    return TrackOutcome.model_validate(
        {
            "source_index": track.index,
            "kind": "cover" if track.is_cover_art else str(track.kind),
            "codec": track.codec,
            "action": action,
            "detail": detail,
            "language": track.language,
            "title": track.title,
        }
    )


def _attachment_outcome(attachment: Attachment, container: Container) -> TrackOutcome:
    return TrackOutcome(
        source_index=None,
        kind="attachment",
        codec=attachment.mimetype,
        action="dropped",
        detail=f"{container} cannot hold attachments",
        title=attachment.filename,
    )


def _chapter_outcome(chapter: Chapter) -> TrackOutcome:
    return TrackOutcome(
        source_index=None,
        kind="chapter",
        codec="",
        action="dropped",
        detail="MP4 shows one chapter at a time, and this one begins with another",
        title=chapter.title,
    )


def _notes(media: MediaInfo, video: Track, container: Container) -> tuple[str, ...]:
    """What changes about things that are kept."""
    notes: list[str] = []
    if video.has_alpha:
        notes.append(
            "The picture's format has transparency, which is lost: the encoder has no place for it"
        )
    if video.captions:
        notes.append(
            "The closed captions within the pictures (CEA-608, CEA-708) are not carried over; "
            "another program has to save them as subtitles first"
        )
    nested = sum(chapter.depth > 0 for chapter in media.chapters)
    if nested:
        notes.append(f"{count(nested, 'chapter')} within other chapters: kept, but beside them")
    if media.unkept:
        notes.append(f"There is no place for {' and '.join(media.unkept)}: not kept")
    start_s = media.start_s or 0.0
    if container is Container.MP4 and media.chapters and media.chapters[0].start_s > start_s:
        notes.append("MP4 chapters begin with the file, so the first chapter starts at 0")
    return tuple(notes)


def _refuse_losses(media: MediaInfo, container: Container, losses: list[TrackOutcome]) -> None:
    if not losses:
        return
    named = "; ".join(
        f"{loss.kind} {'' if loss.source_index is None else loss.source_index}".strip()
        + f" ({loss.title or loss.codec}): {loss.detail}"
        for loss in losses
    )
    raise InputError(
        f"{media.path} has tracks that the {container} output would lose: {named}.",
        hint="Leave out --strict-tracks to go on without them, or choose an output with the "
        "extension .mkv.",
    )
