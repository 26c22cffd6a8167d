"""The page of the report: one file, nothing from outside, every text escaped, no error in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import anyio
import pytest

from drapto.core.flag_overrides import Overrides
from drapto.core.flag_policy import FlagSet
from drapto.core.shadow_report import ShadowReport
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.report.page import render_page
from drapto.services.shadow_report import FlagsNow, make_report
from tests.comparison_history import filled_store, history
from tests.web_pages import Page, in_browser, needs_browser

NOW = FlagsNow(FlagSet(), Overrides(), datetime(2026, 1, 1, tzinfo=UTC))


async def report_on(store: SqliteComparisonStore) -> ShadowReport:
    return await make_report(store, NOW, store=store.path, at=datetime.now(UTC))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShadowReport, str]:
    store = filled_store(tmp_path_factory.mktemp("state"), history())
    report = anyio.run(report_on, store)
    return report, render_page(report)


@pytest.fixture
def empty(tmp_path: Path) -> str:
    return render_page(anyio.run(report_on, SqliteComparisonStore(tmp_path / "state")))


def test_page_holds_verdict_reason_and_worst_cases_of_every_stage(
    full: tuple[ShadowReport, str],
) -> None:
    report, written = full
    page = Page(written)
    assert len(report.stages) == 3
    for stage in report.stages:
        assert stage.verdict.reason in page.text
        assert f"{stage.verdict.lower_95:.1%}" in page.text
        assert ("section", stage.verdict.decision.value) in [
            (tag, (attributes.get("class") or "").removeprefix("stage "))
            for tag, attributes in page.tags
            if attributes.get("id") == stage.stage
        ]
        assert stage.worst
        for case in stage.worst:
            assert case.id in page.text
            assert case.reproduce in page.text


def test_page_refers_to_nothing_outside_itself(full: tuple[ShadowReport, str], empty: str) -> None:
    for written in (full[1], empty):
        page = Page(written)
        ids = set(page.attributes("id"))
        inner = page.attributes("href", "src", "xlink:href", "srcset", "data")
        assert {ref for ref in inner if ref.removeprefix("#") not in ids} == set()
        assert {tag for tag, _ in page.tags} & {
            "script",
            "link",
            "img",
            "iframe",
            "object",
        } == set()
        assert re.findall(r"@import|https?://(?!www\.w3\.org/2000/svg\")", written) == []
        used = set(re.findall(r"url\(([^)]*)\)", written))
        assert {ref for ref in used if ref.strip("\"'").removeprefix("#") not in ids} == set()


def test_no_id_is_given_twice(full: tuple[ShadowReport, str]) -> None:
    ids = Page(full[1]).attributes("id")
    assert len(ids) == len(set(ids))


def test_every_plot_is_well_formed_named_and_in_the_colours_of_the_page(
    full: tuple[ShadowReport, str],
) -> None:
    plots = re.findall(r"<svg.*?</svg>", full[1], re.DOTALL)
    assert len(plots) == 3 * 3 + 4 + 2  # course, outcomes, fields; size, VMAF, time
    for plot in plots:
        assert ElementTree.fromstring(plot).attrib["aria-label"]
        assert "var(--ink)" in plot or "var(--muted)" in plot
        assert re.findall(r"(?:fill|stroke): #(?!000000|ffffff)\w+", plot) == []


def test_file_name_with_markup_and_odd_characters_is_shown_and_not_obeyed(
    full: tuple[ShadowReport, str],
) -> None:
    report, written = full
    assert any("<script>" in str(c.source) for stage in report.stages for c in stage.worst)
    assert "<script>" not in written
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; " in written
    assert r"\xe9\u202egnp.mkv" in Page(written).text
    assert written.encode("utf-8")  # no half character left


def test_empty_store_makes_a_page_that_says_what_to_do(empty: str) -> None:
    text = Page(empty).text
    assert "Nothing has been compared yet" in text
    assert "drapto flags set detection shadow" in text
    assert "<svg" not in empty


@needs_browser
def test_browser_shows_the_page_without_a_complaint(
    full: tuple[ShadowReport, str], tmp_path: Path
) -> None:
    shown, complaints = in_browser(full[1], tmp_path)
    assert complaints == []
    assert full[0].stages[0].verdict.reason in Page(shown).text
