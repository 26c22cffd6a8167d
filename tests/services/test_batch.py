"""Which source becomes which output."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.errors import UsageError
from drapto.services.batch import join_plans, plan_files, plan_tree

NAMES = st.text("ab.", min_size=1, max_size=4).filter(lambda n: n.strip(".") and n[0] != ".")
SUFFIXES = st.sampled_from([".mkv", ".mp4", ".MOV", ".txt", ".srt"])
PATHS = st.builds(
    lambda parts, suffix: Path(*parts).with_name(parts[-1] + suffix),
    st.lists(NAMES, min_size=1, max_size=3),
    SUFFIXES,
)


def test_tree_is_mirrored_and_other_files_are_named() -> None:
    plan = plan_tree(Path("films"), [Path("b.txt"), Path("x/one.MP4"), Path("a.webm")], Path("out"))
    assert [(str(i.source), str(i.output)) for i in plan.items] == [
        ("films/a.webm", "out/a.mkv"),
        ("films/x/one.MP4", "out/x/one.mkv"),
    ]
    assert [str(i.source) for i in plan.skipped] == ["films/b.txt"]


def test_files_named_one_by_one_go_straight_into_the_directory() -> None:
    plan = plan_files([Path("/a/one.mp4"), Path("/b/two.odd")], Path("/out"))
    assert [str(i.output) for i in plan.items] == ["/out/one.mkv", "/out/two.mkv"]


def test_dots_in_a_name_are_kept() -> None:
    assert plan_files([Path("/a/v1.2.final.mp4")], Path("/o")).items[0].output.name == (
        "v1.2.final.mkv"
    )


def test_two_sources_for_one_output_are_refused_by_name() -> None:
    plan = plan_tree(Path("films"), [Path("a.mp4"), Path("a.mkv")], Path("out"))
    with pytest.raises(UsageError, match=r"films/a.mkv and films/a.mp4 would both become out/a"):
        join_plans([plan])


def test_same_file_given_twice_is_refused() -> None:
    source = Path("/a/one.mp4")
    with pytest.raises(UsageError, match="given twice"):
        join_plans([plan_files([source, source], Path("/out"))])


def test_output_that_is_an_input_is_refused() -> None:
    with pytest.raises(UsageError, match="itself an input"):
        join_plans([plan_files([Path("/a/one.mkv")], Path("/a"))])
    with pytest.raises(UsageError, match="itself an input"):
        join_plans([plan_files([Path("/a/one.mp4"), Path("/b/one.mkv")], Path("/b"))])


@given(st.lists(PATHS, unique=True, max_size=12))
def test_every_file_is_either_encoded_or_skipped_and_no_output_is_written_twice(
    files: list[Path],
) -> None:
    plan = plan_tree(Path("in"), files, Path("out"))
    assert sorted(i.source for i in (*plan.items, *plan.skipped)) == sorted(
        Path("in") / f for f in files
    )
    try:
        join_plans([plan])
    except UsageError:
        assert len({i.output for i in plan.items}) < len(plan.items)
    else:
        assert len({i.output for i in plan.items}) == len(plan.items)
        assert all(i.output.is_relative_to("out") for i in plan.items)
