"""Finding ffmpeg and asking what it can do, with the real program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drapto.core.errors import MissingToolError, ProcessFailedError
from drapto.infrastructure.ffmpeg.binaries import (
    find_ffmpeg,
    inspect_ffmpeg,
    parse_encoders,
    parse_filters,
    parse_version,
)


async def test_bundled_ffmpeg_has_what_the_main_job_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAPTO_FFMPEG", raising=False)
    binary = await inspect_ffmpeg(find_ffmpeg())
    assert {"libsvtav1", "libx264", "libx265", "libopus"} <= binary.encoders
    assert {"trim", "crop", "libvmaf", "xpsnr"} <= binary.filters
    assert binary.version


def test_environment_names_another_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAPTO_FFMPEG", sys.executable)
    assert find_ffmpeg() == Path(sys.executable)
    assert find_ffmpeg(Path("/bin/sh")) == Path("/bin/sh")


def test_named_ffmpeg_that_does_not_exist_is_a_missing_tool() -> None:
    with pytest.raises(MissingToolError, match="/nowhere/ffmpeg"):
        find_ffmpeg(Path("/nowhere/ffmpeg"))


async def test_program_that_is_not_ffmpeg_is_refused() -> None:
    with pytest.raises((MissingToolError, ProcessFailedError)):
        await inspect_ffmpeg(Path("/bin/echo"))


def test_parsers_read_verbatim_lines() -> None:
    assert parse_version("ffmpeg version 5.1.6-0+deb12u1 Copyright (c)") == "5.1.6-0+deb12u1"
    assert parse_version("echo") is None
    encoders = (
        " Encoders:\n V..... = Video\n ------\n"
        " V..... libsvtav1   SVT-AV1(Scalable\n A..X.D opus  Opus\n"
    )
    assert parse_encoders(encoders) == {"libsvtav1", "opus"}
    filters = (
        "Filters:\n  T.. = Timeline support\n TS crop  V->V  Crop\n"
        " .. libvmaf  VV->V  Calculate\n ... concat N->N x\n"
    )
    assert parse_filters(filters) == {"crop", "libvmaf", "concat"}
