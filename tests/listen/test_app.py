"""The listener's answers, asked for in this process."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from typing import Any, NamedTuple

import pytest

from launcher.listen.app import Application, Reader, look
from launcher.reading import MAX_AGE
from tests.formats.hostile import spoil
from tests.formats.test_prometheus import of, samples
from tests.formats.told import CASES, Told

HEALTH = {"green": 200, "red": 503, "unknown": 503, "stale": 503, "missing": 503}


class Response(NamedTuple):
    code: int
    headers: dict[str, str]
    body: str


def ask(
    told: Told, path: str, *, method: str = "GET", host: str | None = None, is_open: bool = False
) -> Response:
    reader = Reader(partial(look, str(told.vm.inventory), MAX_AGE))
    return asked(Application(reader, is_open=is_open), path, method, host)


def asked(
    application: Application, path: str, method: str = "GET", host: str | None = None
) -> Response:
    answered: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        answered.update(status=int(status.split()[0]), headers=dict(headers))

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    if host is not None:
        environ["HTTP_HOST"] = host
    body = b"".join(application(environ, start)).decode()
    return Response(answered["status"], answered["headers"], body)


@pytest.mark.parametrize("case", CASES)
def test_health_is_200_for_green_alone(told: Told, case: str) -> None:
    told.case(case)
    response = ask(told, "/healthz")
    assert HEALTH[case] == response.code
    assert response.body.startswith(f"{case if case in ('green', 'red') else 'unknown'}: ")


@pytest.mark.parametrize("colour", ["green", "red"])
def test_health_counts_warnings_and_is_what_it_is_without(told: Told, colour: str) -> None:
    told.case(colour)
    without = ask(told, "/healthz")
    told.warned(colour)
    warned = ask(told, "/healthz")
    assert (without.code, f"{without.body[:-1]}; 1 warning\n") == (warned.code, warned.body)


def test_health_is_503_where_a_session_is_not_up(told: Told) -> None:
    document = told.document("green")
    document["failover"]["sessions"][0]["state"] = "failed"
    told.tell(document)
    assert (503, "green: all 24 invariants hold, but a session is not up: api\n") == (
        ask(told, "/healthz")[::2]
    )


@pytest.mark.parametrize("case", CASES)
def test_report_is_told_whole_or_not_at_all(told: Told, case: str) -> None:
    told.case(case)
    response = ask(told, "/report")
    assert "application/json" == response.headers["Content-Type"]
    if case == "missing":
        assert 503 == response.code
        assert "no report yet" in json.loads(response.body)["problem"]
    else:
        assert (200, json.loads(told.vm.report_path.read_text())) == (
            response.code,
            json.loads(response.body),
        )


@pytest.mark.parametrize("case", CASES)
def test_metrics_always_answer(told: Told, case: str) -> None:
    told.case(case)
    response = ask(told, "/metrics")
    verdict = case if case in ("green", "red") else "unknown"
    assert (200, 1.0) == (response.code, samples(response.body)[of("verdict", verdict=verdict)])
    assert "text/plain; version=0.0.4; charset=utf-8" == response.headers["Content-Type"]


def test_page_brings_its_policy_along(told: Told) -> None:
    told.case("red")
    response = ask(told, "/")
    assert (200, True) == (response.code, response.body.startswith("<!doctype html>"))
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_wrong_inventory_is_told(told: Told) -> None:
    told.case("green")
    told.vm.inventory.write_text("= nonsense")
    response = ask(told, "/healthz")
    assert (503, True) == (response.code, "not TOML" in response.body)
    assert 200 == ask(told, "/").code
    assert 503 == ask(told, "/report").code


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_nothing_but_reading_is_allowed(told: Told, method: str) -> None:
    told.case("green")
    response = ask(told, "/report", method=method)
    assert (405, "GET, HEAD") == (response.code, response.headers["Allow"])


@pytest.mark.parametrize("path", ["", "/report/", "//report", "/../etc/passwd", "/favicon.ico"])
def test_other_paths_are_not_there(told: Told, path: str) -> None:
    assert 404 == ask(told, path).code


def test_head_has_the_length_and_no_content(told: Told) -> None:
    told.case("red")
    whole, head = ask(told, "/report"), ask(told, "/report", method="HEAD")
    assert ("", len(whole.body)) == (head.body, int(head.headers["Content-Length"]))


def test_no_answer_may_be_kept_or_guessed_at(told: Told) -> None:
    for path in ("/healthz", "/report", "/metrics", "/", "/else"):
        headers = ask(told, path).headers
        assert ("no-store", "nosniff", "DENY") == (
            headers["Cache-Control"],
            headers["X-Content-Type-Options"],
            headers["X-Frame-Options"],
        )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]", "[::1]:9"]
)
def test_loopback_may_be_asked_for_by_its_names(told: Told, host: str) -> None:
    told.case("green")
    assert 200 == ask(told, "/healthz", host=host, is_open=True).code


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1", "a:b"],
)
def test_page_from_elsewhere_cannot_have_a_browser_ask(told: Told, host: str | None) -> None:
    told.case("green")
    assert 421 == ask(told, "/healthz", host=host, is_open=True).code


def test_any_name_may_be_asked_for_over_a_unix_socket(told: Told) -> None:
    told.case("green")
    assert 200 == ask(told, "/healthz", host="monitor.example").code


def test_hostile_report_can_be_answered_with(told: Told) -> None:
    told.tell(spoil(told.document("red"), "\udcff\x00<script>"))
    for path, code in (("/healthz", 503), ("/report", 200), ("/metrics", 200), ("/", 200)):
        response = ask(told, path)
        assert code == response.code
        assert path == "/report" or "<script>" not in response.body


def test_file_system_that_hangs_holds_one_thread(told: Told) -> None:
    over = threading.Event()
    looks: list[float] = []

    def hang() -> Any:
        looks.append(time.monotonic())
        over.wait(30)
        return look(str(told.vm.inventory), MAX_AGE)

    told.case("green")
    reader = Reader(hang, patience=0.05)
    application = Application(reader, is_open=False)
    for _ in range(5):
        response = asked(application, "/healthz")
        assert (503, True) == (response.code, "may hang" in response.body)
    assert 1 == len(looks)
    over.set()
    for _ in range(200):
        if 200 == asked(application, "/healthz").code:
            break
    else:
        raise AssertionError("it answers again once the file system does")
