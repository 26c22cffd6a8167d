"""Which source of a batch becomes which output: decided before any work is done, without a disk.

    plan_tree(Path("films"), [Path("a/one.mp4")], Path("av1"))
    # one item: films/a/one.mp4 -> av1/a/one.mkv

Raises UsageError where two sources would become the same output, or a source its own output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from drapto.core.errors import UsageError
from drapto.core.media import Value

OUTPUT_SUFFIX = ".mkv"  # Matroska holds every kind of track
# Names of video files as cameras, discs, recorders and downloads write them.
_NAMES = (
    "264 265 3g2 3gp asf avi divx dv evo f4v flv h264 h265 hevc ivf m1v m2p m2t m2ts m2v m4v "
    "mjpeg mjpg mkv mod mov mp4 mpe mpeg mpg mpv mts mxf nut obu ogm ogv qt rm rmvb tod tp trp "
    "ts vob vro webm wmv wtv y4m"
)
VIDEO_SUFFIXES = frozenset("." + name for name in _NAMES.split())


class BatchItem(Value):
    source: Path
    output: Path


class BatchPlan(Value):
    """`items` in the order of the work; `skipped` are files that are no videos by their name."""

    items: tuple[BatchItem, ...] = ()
    skipped: tuple[BatchItem, ...] = ()


def is_video_name(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def plan_files(sources: Sequence[Path], output_dir: Path) -> BatchPlan:
    """Files named one by one: each is taken for a video, whatever its name."""
    return BatchPlan(items=tuple(_item(s, Path(s.name), output_dir) for s in sources))


def plan_tree(root: Path, files: Iterable[Path], output_dir: Path) -> BatchPlan:
    """`files` are relative to `root`; their directories are mirrored into `output_dir`."""
    ordered = sorted(files)
    return BatchPlan(
        items=tuple(_item(root / f, f, output_dir) for f in ordered if is_video_name(f)),
        skipped=tuple(
            BatchItem(source=root / f, output=output_dir / f)
            for f in ordered
            if not is_video_name(f)
        ),
    )


def join_plans(plans: Sequence[BatchPlan]) -> BatchPlan:
    """One plan for the whole batch, checked as a whole."""
    whole = BatchPlan(
        items=tuple(item for plan in plans for item in plan.items),
        skipped=tuple(item for plan in plans for item in plan.skipped),
    )
    _refuse_clashes(whole.items)
    return whole


def _item(source: Path, relative: Path, output_dir: Path) -> BatchItem:
    return BatchItem(source=source, output=output_dir / relative.with_suffix(OUTPUT_SUFFIX))


def _refuse_clashes(items: Sequence[BatchItem]) -> None:
    owners: dict[Path, Path] = {}
    sources = {item.source for item in items}
    for item in items:
        if owners.get(item.output) == item.source:
            raise UsageError(f"{item.source} is given twice.", hint="Name every input once.")
        if item.output in owners:
            raise UsageError(
                f"{owners[item.output]} and {item.source} would both become {item.output}.",
                hint="Rename one of them, or encode them into different directories.",
            )
        if item.output in sources:
            raise UsageError(
                f"{item.source} would become {item.output}, which is itself an input.",
                hint="Choose another OUTPUT directory.",
            )
        owners[item.output] = item.source
