"""Kept manifests: found by the output they are of, and by nothing that is not that output."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from drapto.core.errors import InputError
from drapto.core.manifest import Manifest, SegmentRecord
from drapto.infrastructure.manifests import find_manifest, kept_path
from tests.film_manifests import film_manifest, measured_segments


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def kept(state: Path, output: Path, **fields: object) -> Manifest:
    """An output, and the manifest that its job left."""
    output.write_bytes(b"film")
    manifest = film_manifest(output=output, output_bytes=4, **fields)
    path = kept_path(state, output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(manifest.to_json())
    return manifest


@pytest.mark.parametrize("name", [b"out.mkv", b"caf\xe9.mkv", b"-a\n<b>.mp4", b"x" * 250])
def test_manifest_is_found_by_its_output_whatever_that_is_named(
    name: bytes, tmp_path: Path, state: Path
) -> None:
    output = tmp_path / os.fsdecode(name)
    manifest = kept(state, output)
    assert find_manifest(output, state) == manifest


def test_output_is_found_through_a_link_and_a_relative_name(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = kept(state, tmp_path / "out.mkv")
    (tmp_path / "link.mkv").symlink_to("out.mkv")
    monkeypatch.chdir(tmp_path)
    assert find_manifest(Path("out.mkv"), state) == manifest
    assert find_manifest(Path("link.mkv"), state) == manifest


def test_output_of_another_size_is_not_what_its_manifest_speaks_of(
    tmp_path: Path, state: Path
) -> None:
    kept(state, tmp_path / "out.mkv")
    (tmp_path / "out.mkv").write_bytes(b"another film")
    with pytest.raises(InputError, match=r"it has 12 bytes, and 4 were written"):
        find_manifest(tmp_path / "out.mkv", state)


def test_output_that_nobody_remembers_and_one_that_is_not_there(
    tmp_path: Path, state: Path
) -> None:
    (tmp_path / "other.mkv").write_bytes(b"")
    with pytest.raises(InputError, match=r"No manifest is kept for .*other\.mkv"):
        find_manifest(tmp_path / "other.mkv", state)
    with pytest.raises(InputError, match=r"gone\.mkv cannot be read: No such file"):
        find_manifest(tmp_path / "gone.mkv", state)
    with pytest.raises(InputError, match=r"gone\.json cannot be read: No such file"):
        find_manifest(tmp_path / "gone.json", state)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"ok": true, "rows": "all"}']
)
def test_file_that_is_no_manifest_is_refused(text: bytes, tmp_path: Path, state: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match="is no manifest that Drapto can read"):
        find_manifest(path, state)


def with_score(score: float) -> tuple[SegmentRecord, ...]:
    """One segment, of which a score is that."""
    (segment,) = measured_segments(1)
    assert segment.quality is not None
    quality = segment.quality.model_copy(update={"minimum": score})
    return (segment.model_copy(update={"quality": quality}),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"manifest_version": 2}, "version 2"),
        ({"frame_rate": "-1"}, "frame rate"),
        ({"frame_rate": "0"}, "frame rate"),
        ({"frame_rate": f"1/{10**400}"}, "frame rate"),
        ({"source_bytes": 10**400}, "beyond all measure"),
        ({"shift_s": 1e308}, "beyond all measure"),
        ({"segments": with_score(float("inf"))}, "beyond all measure"),
        ({"segments": with_score(float("nan"))}, "beyond all measure"),
        ({"segments": measured_segments(3)[1:]}, "segment 1 does not follow"),
    ],
)
def test_manifest_that_no_job_can_have_written_is_refused(
    change: dict[str, Any], said: str, tmp_path: Path, state: Path
) -> None:
    path = tmp_path / "manifest.json"
    data = film_manifest(**change).model_dump(mode="json")  # JSON that also knows of NaN
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=said):
        find_manifest(path, state)
