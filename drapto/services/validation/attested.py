"""Spares the second decoding of the video: what was decoded segment by segment stays proved.

Every segment was decoded from end to end before it was accepted, and begins with a key frame,
so it decodes to the same pictures wherever it stands. If the output's video packets are those
of the segments, byte for byte and in order, then the output has been decoded. If they are not
(an encoder whose headers had to be put in band, a damaged file), the output is decoded itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drapto.core.facts import DecodedFacts, FileFacts, PictureForm, TrackFacts
from drapto.core.media import TrackKind
from drapto.core.segments import EncodedSegment, PayloadDigests

NOTE = "every segment was decoded when it was encoded, and these are its packets, byte for byte"


def is_attested(segments: Sequence[EncodedSegment], payload: PayloadDigests) -> bool:
    """True if the segment files still hold the packets that were decoded."""
    decoded = tuple(segment.payload_sha256 for segment in segments)
    return decoded == payload.each and all(segment.forms for segment in segments)


def with_attested_video(
    output: FileFacts, segments: Sequence[EncodedSegment], payload: PayloadDigests
) -> FileFacts | None:
    """The facts with the segments' decoding in them; None if the packets are not the segments'."""
    found = [
        track
        for track in output.tracks
        if track.kind is TrackKind.VIDEO and track.payload_sha256 == payload.joined
    ]
    if len(found) != 1 or not is_attested(segments, payload):
        return None
    (video,) = found
    tracks = tuple(_decoded(t, segments) if t is video else t for t in output.tracks)
    return replace(output, tracks=tracks)


def with_video_of(output: FileFacts, decoded: FileFacts) -> FileFacts:
    """The facts with the tracks that another reading of the same file has decoded."""
    tracks = tuple(decoded.track(track.index) or track for track in output.tracks)
    return replace(output, tracks=tracks, fault=output.fault or decoded.fault)


def _decoded(video: TrackFacts, segments: Sequence[EncodedSegment]) -> TrackFacts:
    forms: dict[PictureForm, None] = {}
    for segment in segments:
        forms |= dict.fromkeys(segment.forms)
    facts = DecodedFacts(
        frames=sum(segment.frames for segment in segments),
        errors=0,
        damaged=0,
        forms=tuple(forms),
        note=NOTE,
    )
    return replace(video, decoded=facts)
