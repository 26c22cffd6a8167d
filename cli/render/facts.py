"""The plan and the result of a job as label and value, for every display alike."""

from __future__ import annotations

from pathlib import Path

from cli import text
from drapto.core.events import PlanReady
from drapto.core.job import EncodeResult, TrackOutcome
from drapto.core.quality import FilmQuality, Pool, Reference
from drapto.core.routing import Route, Side

Facts = list[tuple[str, str]]


def plan_facts(plan: PlanReady) -> Facts:
    resumed = f", {plan.resumed_segments} already done" if plan.resumed_segments else ""
    return [
        ("frames", f"{plan.frames} in {text.count(plan.segments, 'segment')}{resumed}"),
        ("video", f"{plan.encoder}, {_aim(plan)}, preset {plan.preset}{grain(plan.film_grain)}"),
        ("crop", plan.crop or "none"),
        ("dynamic range", text.printable(plan.dynamic_range)),
        ("workers", f"{plan.workers} (lp {plan.lp} each)"),
        *_route_facts(plan.routes),
        *_track_facts(plan.tracks),
    ]


def result_facts(result: EncodeResult, log: Path | None = None) -> Facts:
    resumed = f", {result.resumed_segments} from before" if result.resumed_segments else ""
    settings = result.settings
    facts: Facts = [
        ("output", text.path(result.output)),
        (
            "size",
            f"{text.size(result.source_bytes)} -> {text.size(result.output_bytes)} "
            f"({text.saving(result.source_bytes, result.output_bytes)})",
        ),
        ("time", f"{text.duration(result.wall_s)}, {result.encode_fps:.1f} fps"),
        (
            "frames",
            f"{result.frames} ({text.duration(result.duration_s)}) "
            f"in {text.count(result.segments, 'segment')}{resumed}",
        ),
        ("video", f"{settings.encoder}, {_crf(result)}, preset {settings.preset}, "
                  f"{settings.width}x{settings.height}{grain(settings.film_grain)}"),
        *_quality_facts(result.quality),
        ("crop", str(result.crop) if result.crop else "none"),
        ("dynamic range", text.printable(result.dynamic_range)),
        *_route_facts(result.routes),
        *_track_facts(result.tracks),
    ]  # fmt: skip
    facts += [("warning", text.printable(warning)) for warning in result.warnings]
    if result.manifest is not None:
        facts.append(("manifest", text.path(result.manifest)))
    if log is not None:
        facts.append(("log", text.path(log)))
    return facts


def _aim(plan: PlanReady) -> str:
    return f"CRF {plan.crf:g}" if plan.target_vmaf is None else f"VMAF {plan.target_vmaf:g}"


def _crf(result: EncodeResult) -> str:
    steered = result.quality is not None and result.quality.target is not None
    return f"{'mean ' if steered else ''}CRF {result.settings.crf:g}"


def _beside(other_bytes: int, own_bytes: int) -> str:
    """Nothing where manifests of an earlier version do not tell."""
    if not own_bytes:
        return ""
    percent = 100 * (other_bytes / own_bytes - 1)
    return f", {abs(percent):.1f} % {'more' if percent > 0 else 'less'} than this takes"


def grain(level: int) -> str:
    """Behind the other settings of a video; nothing where there is none."""
    return f", film grain {level}" if level else ""


def _quality_facts(quality: FilmQuality | None) -> Facts:
    if quality is None:
        return []
    film, metric = quality.film, quality.measuring.metric
    model = f", {quality.measuring.model}" if quality.measuring.model else ""
    denoised = quality.measuring.reference is Reference.DENOISED
    without = " against the source, both without grain" if denoised else ""
    extra = quality.extra_frames
    again = f", {text.count(extra, 'frame')} encoded again" if extra else ""
    facts = [
        (
            "quality",
            f"{metric.value.upper()} {film.mean:.2f}{metric.unit}{_asked(quality)}{without}; "
            f"5 % of the frames below {film.p5:.1f}, worst {film.minimum:.1f} "
            f"({text.count(film.measured, 'frame')} measured{model}{again})",
        )
    ]
    if quality.single_crf is not None:
        single = quality.single_crf
        facts.append(
            (
                "one CRF",
                f"CRF {single.crf:g} for all of it would be as good in about "
                f"{text.size(single.video_bytes)} of video"
                f"{_beside(single.video_bytes, quality.video_bytes)}",
            )
        )
    return facts


def _asked(quality: FilmQuality) -> str:
    if quality.target is None:
        return ""
    pool = "" if quality.pool is Pool.MEAN else f" {quality.pool}"
    return f" of{pool} {quality.target:g}"


def _route_facts(routes: tuple[Route, ...]) -> Facts:
    """The stages that legacy serves. That new does is what everybody expects."""
    return [
        (route.stage.value, f"{route.primary}. {text.printable(route.reason)}")
        for route in routes
        if route.primary is not Side.NEW
    ]


def _track_facts(tracks: tuple[TrackOutcome, ...]) -> Facts:
    return [(_track_label(track), _track_value(track)) for track in tracks]


def _track_label(track: TrackOutcome) -> str:
    number = "" if track.source_index is None else f" {track.source_index}"
    return f"{track.kind}{number}"


def _track_value(track: TrackOutcome) -> str:
    named = [f"[{track.language}]"] if track.language else []
    if track.title:
        named.append(f"'{track.title}'")
    return text.printable(" ".join([*named, f"{track.action}: {track.detail}"]))
