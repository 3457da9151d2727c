"""The stub itself, spoken to as any client would."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.claude.stub import Failure, Reply, Stub, Text, ToolUse

TOOLS = [{"name": "Bash"}]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Return a stub, and see that its threads end with it."""
    before = threading.active_count()
    with Stub() as made:
        yield made
    assert before == threading.active_count()


def ask(stub: Stub, path: str = "/v1/messages", **body: Any) -> Any:
    """Post a message with tools; return the answer, open."""
    document = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": TOOLS}
    request = urllib.request.Request(
        stub.url + path, json.dumps({**document, **body}).encode(), {"X-Api-Key": "k"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=10)


def events(answer: Any) -> list[dict[str, Any]]:
    lines = answer.read().decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def test_answers_come_in_the_order_of_the_script_then_the_default(stub: Stub) -> None:
    stub.script("one", ToolUse("Bash", {"command": "date"}))
    first, second, third = (json.load(ask(stub)) for _ in range(3))
    assert ["one"] == [block["text"] for block in first["content"]]
    assert ("tool_use", {"command": "date"}) == (
        second["stop_reason"],
        second["content"][0]["input"],
    )
    assert ("end_turn", "ok") == (third["stop_reason"], third["content"][0]["text"])


def test_what_is_not_a_turn_takes_nothing_from_the_script(stub: Stub) -> None:
    stub.script("one")
    assert "ok" == json.load(ask(stub, tools=[]))["content"][0]["text"]
    assert 0 < json.load(ask(stub, "/v1/messages/count_tokens"))["input_tokens"]
    assert "one" == json.load(ask(stub))["content"][0]["text"]


def test_stream_carries_the_same_message_in_pieces(stub: Stub) -> None:
    stub.script(Reply([Text("hello"), ToolUse("Bash", {"command": "date"})]))
    seen = events(ask(stub, stream=True))
    assert ["message_start", "message_stop"] == [seen[0]["type"], seen[-1]["type"]]
    deltas = [event["delta"] for event in seen if event["type"] == "content_block_delta"]
    assert "hello" == "".join(delta.get("text", "") for delta in deltas)
    pieces = "".join(delta.get("partial_json", "") for delta in deltas)
    assert {"command": "date"} == json.loads(pieces)


def test_stream_waits_in_its_middle(stub: Stub) -> None:
    hold = threading.Event()
    stub.script(Reply([Text("hello")], hold))
    answer = ask(stub, stream=True)
    while b"hel" not in answer.readline():
        pass
    hold.set()
    assert "message_stop" == events(answer)[-1]["type"]


def test_stream_that_is_cut_ends_without_its_end(stub: Stub) -> None:
    stub.script(Reply([Text("hello")], cut=True))
    with pytest.raises(http.client.IncompleteRead):
        ask(stub, stream=True).read()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "authentication_error"), (429, "rate_limit_error"), (529, "overloaded_error")],
)
def test_failure_has_the_body_and_the_headers_of_the_api(
    stub: Stub, status: int, kind: str
) -> None:
    stub.script(Failure(status, {"retry-after": "7"}))
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(stub)
    with caught.value as answer:
        assert (status, "7") == (answer.code, answer.headers["retry-after"])
        assert kind == json.load(answer)["error"]["type"]


def test_key_that_is_refused_is_refused_whatever_the_script_says(stub: Stub) -> None:
    stub.script("one")
    stub.refuse("k", Failure(429))
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(stub)
    caught.value.close()


def test_requests_are_kept_and_can_be_waited_for(stub: Stub) -> None:
    later = threading.Thread(target=lambda: ask(stub).close())
    later.start()
    request = stub.wait_for(lambda seen: "hi" in seen.text)
    later.join()
    assert ("POST", "/v1/messages", "k") == (request.method, request.path, request.key)
    assert [request] == stub.turns
    with pytest.raises(TimeoutError, match="POST /v1/messages"):
        stub.wait_for(lambda seen: "ho" in seen.text, seconds=0.01)


def test_what_it_does_not_know_is_not_found_and_noted(stub: Stub) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(stub, "/v1/else")
    assert 404 == caught.value.code
    caught.value.close()
    assert ["/v1/else"] == [request.path for request in stub.requests]


def test_close_ends_a_stream_that_nobody_let_go(stub: Stub) -> None:
    stub.script(Reply([Text("hello")], threading.Event()))
    answer = ask(stub, stream=True)
    stub.wait_for(lambda seen: seen.is_turn)
    stub.close()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
