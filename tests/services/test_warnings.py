"""What is said before an encode starts: sentences, and only what is true of this source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from drapto import Analysis, Drapto, MediaInfo, Settings
from drapto.core.film_grain import FilmGrainChoice
from drapto.core.job import EncodeOptions, JobRequest
from drapto.services.encoding.registry import encoder_named
from drapto.services.planning import decide_tracks, warnings_of
from tests.media import clips, hdr


async def analysed(source: Path) -> tuple[MediaInfo, Analysis]:
    async with Drapto(Settings(state_dir=source.parent)) as d:
        media, _index = await d.probe(source)
        return media, await d.analyze(source)


def warnings(
    source: Path,
    media: MediaInfo,
    found: Analysis,
    encoder: str = "svt-av1",
    film_grain: FilmGrainChoice = "off",
) -> list[str]:
    options = EncodeOptions(encoder=encoder, film_grain=film_grain)
    request = JobRequest(source=source, output=source.with_name("out.mkv"), options=options)
    used = encoder_named(encoder)
    mux = decide_tracks(request, media, found.video.track, used).mux
    return list(warnings_of(found.video, found.analysis, mux, options))


async def test_notes_on_the_source_are_said_as_sentences(tmp_path: Path) -> None:
    source = clips.raw_h264(tmp_path)
    said = warnings(source, *await analysed(source))
    assert "There are no timestamps; 24 frames per second assumed, as its headers say." in said
    assert all(text[0].isupper() and text.endswith(".") for text in said)


async def test_grain_that_nobody_looked_for_is_said_where_it_would_decide(tmp_path: Path) -> None:
    source = clips.raw_h264(tmp_path)
    media, found = await analysed(source)
    blind = found.analysis.model_copy(update={"unreported": ("grain",)})
    unlooked = Analysis(blind, found.video, found.segments)
    (said,) = [t for t in warnings(source, media, unlooked, film_grain="auto") if "grain" in t]
    assert said.startswith("No film grain is coded, because")
    assert not [t for t in warnings(source, media, found, film_grain="auto") if "grain" in t]
    assert not [t for t in warnings(source, media, unlooked, film_grain="off") if "grain" in t]


async def test_hdr10_plus_names_the_static_metadata_only_where_there_is_some(
    tmp_path: Path,
) -> None:
    source = hdr.hdr10_plus(tmp_path)
    media, found = await analysed(source)
    assert not [text for text in warnings(source, media, found) if "HDR10+" in text]
    (said,) = [text for text in warnings(source, media, found, "x265") if "HDR10+" in text]
    assert said.endswith("(only AV1 outputs get it); the static HDR10 metadata is.")
    track = found.video.track
    bare = track.color.model_copy(update={"mastering_display": None, "content_light": None})
    video = replace(found.video, track=track.model_copy(update={"color": bare}))
    less = Analysis(found.analysis, video, found.segments)
    (said,) = [text for text in warnings(source, media, less, "x265") if "HDR10+" in text]
    assert said.endswith("; there is no static HDR10 metadata.")
