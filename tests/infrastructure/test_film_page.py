"""The page about a film: one file, nothing from outside, every text escaped, and never an error
for what an older manifest does not say."""

from __future__ import annotations

import html
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from drapto.core.film_report import FilmReport, Still, StillPair, middle_frame
from drapto.core.manifest import Manifest, RowOutcome
from drapto.core.quality import FilmQuality, Measuring, Metric, SegmentQuality
from drapto.infrastructure.report.film_page import render_film_page, summary
from tests.film_manifests import film_manifest, measured_segments, row, track
from tests.media import clips
from tests.web_pages import Page, in_browser, needs_browser

HOSTILE = "<script>alert('1')</script>\n\"&' --><img src=x onerror=alert(1)> \u202egnp.\x07"


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("still") / "still.jpg"
    clips.ffmpeg(*clips.pattern(1), "-frames:v", "1", "-update", "1", file)
    return file.read_bytes()


def report_on(manifest: Manifest, jpeg: bytes = b"", *, why: str = "") -> FilmReport:
    """With a picture of every place if there is one."""
    report = FilmReport(manifest=manifest, at=datetime(2026, 2, 1, tzinfo=UTC), no_stills=why)
    if not jpeg:
        return report
    still = Still(jpeg=jpeg, width=320, height=180)
    stills = {
        segment.index: StillPair(frame=middle_frame(segment), source=still, output=still)
        for segment in report.places
    }
    return report.model_copy(update={"stills": stills})


@pytest.fixture(scope="module")
def full(jpeg: bytes) -> str:
    return render_film_page(report_on(film_manifest(), jpeg))


def words(page: str) -> str:
    return " ".join(Page(page).text.split())


def test_summary_says_quality_bytes_and_time(full: str) -> None:
    said = summary(report_on(film_manifest()))
    assert re.fullmatch(
        r"VMAF 94\.\d of 95, 612\.3 MiB saved, 58 % smaller, encoded in 1:05:25", said
    )
    assert said in words(full)


def test_page_shows_the_worst_segments_in_order_with_both_pictures(full: str) -> None:
    report = report_on(film_manifest())
    page = Page(full)
    assert len(report.worst) == 10
    at = 0
    for segment in report.worst:
        assert segment.quality is not None
        said = f"VMAF {segment.quality.mean:.1f}, worst frame {segment.quality.minimum:.1f}"
        at = page.text.index(said, at)
        assert f"picture: frame {middle_frame(segment)}" in page.text
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 20
    assert [p["alt"] for p in pictures[:2]] == [
        f"{side}, frame {middle_frame(report.worst[0])}" for side in ("source", "output")
    ]


def test_page_says_what_is_not_as_in_the_source(full: str) -> None:
    text = words(full)
    assert "1 check passed, 0 failed, 1 difference named." in text
    assert "captions of video" in text
    assert "closed captions are not carried over." in text
    assert "subtitle 2 eng" in text
    assert "MP4 has no place for it" in text
    assert "Director's cut" in text
    assert "does not match its source" not in text
    failed = film_manifest(rows=(row("timestamps", RowOutcome.FAIL),))
    assert "The output does not match its source. timestamps of video" in words(
        render_film_page(report_on(failed))
    )


def test_page_compares_with_one_crf_and_repeats_what_the_controller_noted(full: str) -> None:
    text = words(full)
    assert "As good with one CRF for all of it, the file would be about" in text
    assert "one CRF, 29.5" in text
    assert "Segment 7 stays below the floor: another encode was not allowed." in text
    assert "95.0 was asked for: reached." in text
    quality = film_manifest().quality
    assert quality is not None
    missed = film_manifest(quality=quality.model_copy(update={"reached": False}))
    assert "95.0 was asked for: not reached." in words(render_film_page(report_on(missed)))


def test_page_refers_to_nothing_outside_itself(full: str) -> None:
    page = Page(full)
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    refs = page.attributes("href", "src", "xlink:href", "srcset", "data", "for", "action")
    inner = {ref for ref in refs if not ref.startswith("data:image/jpeg;base64,")}
    assert {ref for ref in inner if ref.removeprefix("#") not in ids} == set()
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"} == set()
    assert re.findall(r"@import|https?://(?!www\.w3\.org/2000/svg\")", full) == []
    used = set(re.findall(r"url\(([^)]*)\)", full))
    assert {ref for ref in used if ref.strip("\"'").removeprefix("#") not in ids} == set()


def test_plots_are_well_formed_named_and_in_the_colours_of_the_page(full: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", full, re.DOTALL)
    assert len(plots) == 2
    for plot in plots:
        assert ElementTree.fromstring(plot).attrib["aria-label"]
        assert "var(--muted)" in plot
        assert re.findall(r"(?:fill|stroke): #(?!000000|ffffff)\w+", plot) == []


def made_hostile(value: Any) -> Any:
    """The same value with every text that a file or a person may have put there replaced."""
    if isinstance(value, dict):
        return {key: made_hostile(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [made_hostile(item) for item in value]
    kept = str in type(value).__mro__ and type(value) is not str  # members of an enumeration
    return HOSTILE if type(value) is str and not kept else value


def test_no_text_of_the_manifest_is_taken_for_markup(jpeg: bytes) -> None:
    data = film_manifest().model_dump()
    for name in ("rows", "tracks", "stages", "quality"):
        data[name] = made_hostile(data[name])
    for one in data["tracks"]:
        one["action"] = "dropped"
    latin = os.fsdecode(b"/films/caf\xe9" + os.fsencode(HOSTILE))
    data |= {"source": latin, "output": latin, "created": HOSTILE, "drapto_version": HOSTILE}
    data["settings"]["encoder"] = HOSTILE
    report = report_on(Manifest.model_validate(data), jpeg)
    for shown in (report, report.model_copy(update={"stills": {}, "no_stills": HOSTILE})):
        written = render_film_page(shown)
        page = Page(written)
        assert "script" not in {tag for tag, _ in page.tags}
        assert page.attributes("onerror") == []
        assert not [
            a for tag, a in page.tags if tag == "img" and not (a["src"] or "").startswith("data:")
        ]
        assert r"caf\xe9" in page.text
        assert r"\u202egnp.\x07" in page.text
        assert "<script>alert('1')</script>" in page.text
        assert written.encode("utf-8")  # no half character left


def test_older_manifest_has_its_gaps_named() -> None:
    bare = tuple(
        segment.model_copy(update={"quality": None, "crf": None})
        for segment in measured_segments(4)
    )
    old = film_manifest(quality=None, stages=(), cuts=(), frame_rate=None, segments=bare)
    text = words(render_film_page(report_on(old, why="The source /x.mkv is gone.")))
    assert "Was not measured: the manifest holds no scores." in text
    assert "Quality was not measured." in text
    assert "The manifest does not say how long the stages took." in text
    assert "There is no estimate of one CRF" in text
    assert "There are no pictures. The source /x.mkv is gone." in text
    assert "worst" not in text


def test_manifest_without_segments_or_anything_else_still_makes_a_page() -> None:
    empty = film_manifest(
        quality=None, stages=(), cuts=(), segments=(), rows=(), tracks=(), source_bytes=0,
        output_bytes=0,
    )  # fmt: skip
    text = words(render_film_page(report_on(empty)))
    assert "The manifest holds no segments." in text
    assert "The manifest does not list them." in text


def test_pictures_of_an_unmeasured_film_are_spread_over_it(jpeg: bytes) -> None:
    bare = tuple(s.model_copy(update={"quality": None}) for s in measured_segments(30))
    report = report_on(film_manifest(quality=None, segments=bare), jpeg)
    page = render_film_page(report)
    assert [s.index for s in report.places] == [0, 3, 6, 10, 13, 16, 19, 23, 26, 29]
    assert "these are spread evenly over the film" in words(page)
    assert page.count("<img ") == 20


@pytest.mark.parametrize(
    ("metric", "scores", "said"),
    [
        (Metric.XPSNR, [38.25, 40.0], "XPSNR 39.1 dB"),
        (Metric.SSIM, [0.98712, 0.98714], "SSIM 0.9871"),
        (Metric.VMAF, [100.0, 100.0], "VMAF 100.0"),
    ],
)
def test_every_metric_is_named_with_its_unit(
    metric: Metric, scores: list[float], said: str
) -> None:
    found = SegmentQuality.of_scores(scores)
    (segment,) = measured_segments(1)
    film = film_manifest(
        segments=(segment.model_copy(update={"quality": found}),),
        quality=FilmQuality(measuring=Measuring(metric=metric), film=found),
    )
    text = words(render_film_page(report_on(film)))
    assert said in text
    assert "The only segment" in text


def test_how_many_frames_were_measured_is_counted_not_concluded() -> None:
    """Of a short film every frame may be measured where the setting says every fifth."""
    manifest = film_manifest()
    assert manifest.quality is not None
    measured = manifest.quality.film.measured
    frames = sum(segment.frames for segment in manifest.segments)
    assert f"vmaf_v0.6.1, {measured} of {frames} frames" in words(
        render_film_page(report_on(manifest))
    )
    whole = manifest.quality.film.model_copy(update={"measured": frames})
    all_of_it = manifest.quality.model_copy(update={"film": whole})
    text = words(render_film_page(report_on(film_manifest(quality=all_of_it))))
    assert "vmaf_v0.6.1." in text or "vmaf_v0.6.1;" in text


def test_film_measured_in_part_has_no_line_but_its_worst_segments() -> None:
    first, *others = measured_segments(12)
    film = film_manifest(segments=(first.model_copy(update={"quality": None}), *others))
    text = words(render_film_page(report_on(film)))
    assert "Not every segment was measured" in text
    assert "The worst 10 segments" in text


def test_long_film_makes_a_page_that_can_be_opened() -> None:
    page = render_film_page(report_on(film_manifest(segments=measured_segments(3000))))
    assert len(page) < 4_000_000
    assert "All 3000 segments" in page


@needs_browser
def test_browser_shows_the_page_without_a_complaint(full: str, tmp_path: Path) -> None:
    shown, complaints = in_browser(full, tmp_path)
    assert complaints == []
    assert summary(report_on(film_manifest())) in words(shown)


@needs_browser
@pytest.mark.parametrize("width_px", [400, pytest.param(1280, marks=pytest.mark.slow)])
def test_page_is_no_wider_than_its_window(width_px: int, jpeg: bytes, tmp_path: Path) -> None:
    long = "x" * 240
    film = film_manifest(
        output=Path(f"/films/{long}.mkv"),
        rows=(row("track_tags", RowOutcome.NAMED, note=long, subject=long),),
        tracks=(track(1, "audio", "converted", long, title=long),),
    )
    page = render_film_page(report_on(film, jpeg))
    measure = "f.onload = () => { const d = f.contentDocument; const w = d.documentElement;"
    measure += "document.title = w.scrollWidth - w.clientWidth + ' ' + d.images[0].naturalWidth }"
    outer = f"""<!doctype html><title></title><iframe id="f" width="{width_px}" height="800"
        srcdoc="{html.escape(page)}"></iframe><script>{measure}</script>"""
    shown, complaints = in_browser(outer, tmp_path)
    assert complaints == []
    assert "<title>0 320</title>" in shown


@needs_browser
def test_open_pair_flips_between_output_and_source(full: str, tmp_path: Path) -> None:
    steps = "f.onload = () => { const d = f.contentDocument, w = f.contentWindow;"
    steps += (
        "const seen = () => w.getComputedStyle(d.querySelector('#place-1 .output')).visibility;"
    )
    steps += "const box = d.getElementById('flip-1'), before = w.getComputedStyle(box).display;"
    steps += "w.location.hash = 'place-1'; const first = seen(); box.click();"
    steps += "document.title = [before, w.getComputedStyle(box).display, first, seen()] }"
    outer = f"""<!doctype html><title></title><iframe id="f" width="900" height="800"
        srcdoc="{html.escape(full)}"></iframe><script>{steps}</script>"""
    shown, complaints = in_browser(outer, tmp_path)
    assert complaints == []
    assert "<title>none,block,visible,hidden</title>" in shown
