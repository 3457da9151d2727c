"""What all formats share: the exit code, the age, and that nothing but the report is read."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from launcher.formats import FORMATS, shower
from launcher.formats.words import plain
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Caller, Told
from tests.vm import snapshot

CODES = {"green": 0, "red": 1, "unknown": 70, "stale": 70, "missing": 70}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FORMATS)
def test_exit_code_of_every_format_on_every_report(
    told: Told, call: Caller, name: str, case: str
) -> None:
    told.case(case)
    answer = call("status", "--format", name)
    expected = {0: 0, 1: 2, 70: 3}[CODES[case]] if name == "nagios" else CODES[case]
    assert (expected, "") == (answer.code, answer.errors)
    if case == "unknown":
        assert "hung at backup projects" in answer.text or name == "prometheus"


@pytest.mark.parametrize("name", FORMATS)
def test_session_that_is_not_up_is_not_well(told: Told, call: Caller, name: str) -> None:
    document = told.document("green")
    document["failover"]["sessions"][0] |= {"state": "failed", "detail": "it ended at once"}
    told.tell(document)
    answer = call("status", "--format", name)
    assert (2 if name == "nagios" else 69) == answer.code
    assert "api" in answer.text


@pytest.mark.parametrize("name", FORMATS)
def test_wrong_inventory_is_told_in_the_format(told: Told, call: Caller, name: str) -> None:
    told.case("green")
    told.vm.inventory.write_text("= nonsense")
    answer = call("status", "--format", name)
    assert (3 if name == "nagios" else 78) == answer.code
    assert "not TOML" in answer.text or name == "prometheus"
    assert "not TOML" in answer.errors


def test_wrong_inventory_has_no_text_of_its_own(told: Told, call: Caller) -> None:
    told.vm.inventory.write_text("= nonsense")
    assert (78, "") == call("status")[:2]


def test_maximal_age_can_be_chosen(told: Told, call: Caller) -> None:
    told.case("stale")
    assert 0 == call("status", "--format", "nagios", "--max-age", "inf").code
    told.case("green")
    document = told.document("green")
    document["failover"]["finished"] = time.time() - 3
    told.tell(document)
    assert 3 == call("status", "--format", "nagios", "--max-age", "2.5").code


def test_text_and_json_take_a_maximal_age_too(told: Told, call: Caller) -> None:
    shutil.rmtree(told.vm.root / "shared", ignore_errors=True)
    for account in told.vm.accounts:
        told.vm.home(account).mkdir(mode=0o700)
    told.vm.link()
    told.case("stale")
    assert 0 == call("status").code
    assert 70 == call("status", "--max-age", "60").code
    document = json.loads(call("status", "--json", "--max-age", "60").text)
    assert "s old, 60 s at most were asked for" in document["report"]["problem"]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_maximal_age_is_above_zero(
    told: Told, call: Caller, capfd: pytest.CaptureFixture[str], seconds: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call("status", "--max-age", seconds)
    assert 2 == stopped.value.code
    assert "--max-age" in capfd.readouterr().err


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_written_and_no_home_is_looked_at(
    told: Told, call: Caller, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.case("green")
    touched: list[str] = []
    real = os.lstat

    def watched(path: object, *arguments: object, **names: object) -> object:
        touched.append(str(path))
        return real(path, *arguments, **names)  # type: ignore[arg-type]  # passed through

    before = snapshot(told.vm.root)
    monkeypatch.setattr("os.lstat", watched)
    monkeypatch.setattr("launcher.bounded.bounded", lambda look, *_: look())
    assert 0 == call("status", "--format", name).code
    assert before == snapshot(told.vm.root)
    homes = [str(told.vm.home(account)) for account in told.vm.accounts]
    assert not [path for path in touched if path.startswith((*homes, str(told.vm.shared)))]


def test_report_that_hangs_does_not_hang_the_monitor(
    told: Told, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.verbs.status._HANGS", 0.1)
    monkeypatch.setattr("launcher.reading.read_report", lambda *_: time.sleep(60))
    answer = call("status", "--format", "nagios")
    assert 3 == answer.code
    assert "no answer within 0.1 s: a file system may hang" in answer.text
    page = told.vm.root / "page.html"
    assert 70 == call("status", "--html", str(page)).code
    assert "a file system may hang" in page.read_text()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", FORMATS)
def test_hostile_text_can_be_printed_by_every_format(told: Told, name: str, text: str) -> None:
    told.tell(spoil(told.document("red"), text))
    shown = shower(name)(told.reading()).text
    lines = shown.removesuffix("\n").split("\n")
    assert [] == [line for line in lines if not line.isprintable()]
    assert shown.encode()


def test_plain_text_can_be_told_from_an_escape() -> None:
    assert "a\\nb \\x1b[0m \\udcff ✓" == plain("a\nb \x1b[0m \udcff ✓")


def test_reports_of_a_pipe_and_a_directory_are_unknown(told: Told, call: Caller) -> None:
    told.vm.state.mkdir()
    os.mkfifo(told.vm.report_path)
    assert "no regular file" in call("status", "--format", "nagios").text
    Path(told.vm.report_path).unlink()
    told.vm.report_path.mkdir()
    assert 3 == call("status", "--format", "nagios").code


def test_page_is_written_with_the_code_of_its_report(told: Told, call: Caller) -> None:
    told.case("red")
    path = told.vm.root / "page.html"
    assert (1, "", "") == call("status", "--html", str(path))
    assert "<h1>" in path.read_text()
    answer = call("status", "--html", str(told.vm.root))
    assert 70 == answer.code
    assert f"the page cannot be written: {told.vm.root}: something" in answer.errors


@pytest.mark.parametrize("wrong", ["= nonsense", None])
def test_green_page_does_not_stay_where_the_inventory_is_wrong(
    told: Told, call: Caller, wrong: str | None
) -> None:
    told.case("green")
    path = told.vm.root / "page.html"
    assert 0 == call("status", "--html", str(path)).code
    assert "all 24 invariants hold" in path.read_text()
    told.vm.inventory.unlink()
    if wrong is not None:
        told.vm.inventory.write_text(wrong)
        told.vm.inventory.chmod(0o600)
    answer = call("status", "--html", str(path))
    why = "does not exist" if wrong is None else "not TOML"
    assert (78, "", True) == (answer.code, answer.text, why in answer.errors)
    shown = path.read_text()
    assert f"the inventory is wrong or missing: {why}" in shown
    assert "</span> Unknown</h1>" in shown
    assert "invariants hold" not in shown


def test_only_one_way_to_show_it_can_be_chosen(told: Told, call: Caller) -> None:
    for ways in (["--json", "--format", "tap"], ["--html", "a", "--json"], ["--follow", "--json"]):
        with pytest.raises(SystemExit):
            call("status", *ways)
