"""A local model server, answering as OpenAI's and Anthropic's APIs do, and counting the answered calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

#: Tokens of each call. The prompt's include the cached tokens; Anthropic states the cached tokens apart.
INPUT, OUTPUT, CACHED = 1000, 50, 300
#: The text of every answer; nobody asked to keep the text.
ANSWER = "SECRET answer"


class Server(ThreadingHTTPServer):
    """Counts the answered calls."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls = 0
        self.lock = Lock()

    @property
    def address(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_call(self) -> int:
        """The number of a call, from 1."""
        with self.lock:
            self.calls += 1
            return self.calls


@contextmanager
def model_server() -> Iterator[Server]:
    """A running server."""
    server = Server()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = self.server.next_call()
        if "messages" in self.path:
            self._reply(asked, _anthropic(number), list(_anthropic_events(number)))
        elif "responses" in self.path:
            self._reply(asked, _response(number), list(_response_events(number)))
        else:
            self._reply(asked, _completion(number), list(_completion_events(number)))

    def _reply(self, asked: dict[str, Any], whole: dict[str, Any], events: list[str]) -> None:
        if asked.get("stream"):
            self._say("text/event-stream", "".join(events))
        else:
            self._say("application/json", json.dumps(whole))

    def _say(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _completion(number: int, kind: str = "chat.completion") -> dict[str, Any]:
    message = {"role": "assistant", "content": ANSWER}
    return {
        "id": f"chatcmpl-{number}",
        "object": kind,
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": INPUT,
            "completion_tokens": OUTPUT,
            "total_tokens": INPUT + OUTPUT,
            "prompt_tokens_details": {"cached_tokens": CACHED},
        },
    }


def _completion_events(number: int) -> Iterator[str]:
    whole = _completion(number, "chat.completion.chunk")
    usage = whole.pop("usage")
    for delta, reason in (({"role": "assistant", "content": ANSWER}, None), ({}, "stop")):
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        yield f"data: {json.dumps(whole | {'choices': choices})}\n\n"
    yield f"data: {json.dumps(whole | {'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def _response(number: int, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": ANSWER, "annotations": []}]
    message = {
        "type": "message",
        "id": f"msg-{number}",
        "status": status,
        "role": "assistant",
        "content": content,
    }
    return {
        "id": f"resp-{number}",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-4o-mini-2024-07-18",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": INPUT,
            "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": OUTPUT,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT + OUTPUT,
        },
    }


def _response_events(number: int) -> Iterator[str]:
    whole = _response(number)
    for place, (name, response) in enumerate(
        (("response.created", whole | {"output": [], "status": "in_progress"}), ("response.completed", whole))
    ):
        event = {"type": name, "sequence_number": place, "response": response}
        yield f"event: {name}\ndata: {json.dumps(event)}\n\n"


def _anthropic(number: int) -> dict[str, Any]:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT - CACHED,
            "output_tokens": OUTPUT,
            "cache_read_input_tokens": CACHED,
            "cache_creation_input_tokens": 0,
        },
    }


def _anthropic_events(number: int) -> Iterator[str]:
    whole = _anthropic(number)
    begun = whole | {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    for event in (
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": OUTPUT},
        },
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


__all__ = ["ANSWER", "CACHED", "INPUT", "OUTPUT", "Server", "model_server"]
