"""The settings that decide the bytes of the output: the fields of `EncodeOptions`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, field_validator
from pydantic_settings import NoDecode

from drapto.core.film_grain import MOST
from drapto.infrastructure.settings_fields import Auto, Crop, Lower, Number, setting


class EncodingSettings(BaseModel):
    """Bounds are those of the encoders and of good sense."""

    crf: Annotated[float | None, Number, Auto] = setting(
        None,
        "one quality for the whole film; lower is better and bigger",
        "a number from 0 to 63 in quarter steps, or 'auto' (as target_vmaf says)",
        ge=0,
        le=63,
        multiple_of=0.25,  # SVT-AV1 takes quarter steps
        allow_inf_nan=False,
    )
    target_vmaf: Annotated[float | Literal["auto", "off"], Number, Lower] = setting(
        "auto",
        "the VMAF that the film is to have",
        "a number above 0, at most 100; 'auto' (95 for SDR up to 1920x1088), or 'off' (a CRF by "
        "the width of the picture)",
    )
    pool: Annotated[Literal["mean", "harmonic", "p5"], Lower] = setting(
        "mean",
        "how the VMAF of all frames becomes that of the film",
        "'mean', 'harmonic' or 'p5' (which 95 % of the frames reach)",
    )
    floor: Annotated[float | None, Number, Auto] = setting(
        None,
        "the least mean VMAF of a segment",
        "a number from 0 to 100, or 'auto' (6 below the target)",
        ge=0,
        le=100,
        allow_inf_nan=False,
    )
    strict: bool = setting(
        False, "bring every segment within 0.5 of the target, or fail", "true or false"
    )
    max_extra: Annotated[float, Number] = setting(
        0.10,
        "share of the frames that may be encoded again to reach the target",
        "a number from 0 to 1",
        ge=0,
        le=1,
        allow_inf_nan=False,
    )
    max_size_percent: Annotated[float | None, Number, Auto] = setting(
        None,
        "give up an output that is larger than this share of the source, in percent",
        "a number above 0, or 'auto' (any size is fine)",
        gt=0,
        allow_inf_nan=False,
    )
    vmaf_neg: bool = setting(
        False, "measure with the VMAF models that sharpening cannot please", "true or false"
    )
    measure: bool = setting(
        False, "measure the quality also where no VMAF is aimed at", "true or false"
    )
    preset: Annotated[int, Number] = setting(
        6, "effort; lower is slower and smaller", "a whole number from 0 to 13", ge=0, le=13
    )
    encoder: Annotated[str, Lower] = setting(
        "svt-av1",
        "the video encoder",
        "the name of an encoder (svt-av1, x265, x264, av1-nvenc, av1-qsv, av1-vaapi, av1-amf or "
        "hevc-nvenc), or 'auto' (the first AV1 encoder of a card that works here, else svt-av1)",
        min_length=1,
    )
    crop: Annotated[str, NoDecode, Crop] = setting(
        "auto",
        "what is cut off the picture",
        "'auto', 'off', or W:H:X:Y in whole pixels with W and H above 0",
    )
    deinterlace: Annotated[Literal["auto", "off", "bwdif", "bob", "ivtc"], Lower] = setting(
        "auto",
        "how whole pictures are made of fields",
        "'auto' (by what is found), 'off', 'bwdif', 'bob' or 'ivtc'",
    )
    film_grain: Annotated[int | Literal["auto", "off"], Number, Lower] = setting(
        "off",
        "the level of film grain that is taken off and put on again when it is played",
        "a whole number from 1 to 50; 'auto' (by the grain that is found), or 'off'",
    )
    audio: Annotated[Literal["opus", "copy", "none"], Lower] = setting(
        "opus", "what becomes of the audio tracks", "'opus', 'copy' or 'none'"
    )
    strict_tracks: bool = setting(
        False, "refuse a file whose tracks cannot all be kept", "true or false"
    )
    video_stream: Annotated[int | None, Number, Auto] = setting(
        None,
        "which video stream is encoded, counted from 0",
        "a whole number from 0, or 'auto' (the main one)",
        ge=0,
    )
    min_segment_s: Annotated[float, Number] = setting(
        1.0,
        "shortest segment, in seconds",
        "seconds above 0, at most 600, not above max_segment_s",
        gt=0,
        le=600,
        allow_inf_nan=False,
    )
    max_segment_s: Annotated[float, Number] = setting(
        10.0,
        "longest segment and distance between key frames, in seconds",
        "seconds above 0, at most 600, not below min_segment_s",
        gt=0,
        le=600,
        allow_inf_nan=False,
    )

    @field_validator("encoder")
    @classmethod
    def _with_hyphens(cls, value: str) -> str:
        """ffmpeg's own spelling, av1_nvenc, is understood, too."""
        return value.replace("_", "-")

    @field_validator("film_grain")
    @classmethod
    def _is_a_level(cls, value: int | str) -> int | str:
        if not isinstance(value, str) and not 1 <= value <= MOST:
            raise ValueError(f"a level of film grain is from 1 to {MOST}")
        return value

    @field_validator("target_vmaf")
    @classmethod
    def _is_a_vmaf(cls, value: float | str) -> float | str:
        if not isinstance(value, str) and not 0 < value <= 100:
            raise ValueError("a VMAF is above 0 and at most 100")
        return value
