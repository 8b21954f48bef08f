"""A model server on this machine that answers as OpenAI's and Anthropic's APIs do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_OPENAI_USAGE = {
    "prompt_tokens": 2000,
    "completion_tokens": 70,
    "total_tokens": 2070,
    "prompt_tokens_details": {"cached_tokens": 1024},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
_ANTHROPIC = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-5-sonnet-20241022",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 1000,
        "output_tokens": 50,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 200,
    },
}


@contextmanager
def model_server() -> Iterator[str]:
    """Its address. A model called `broken` gets an error."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "broken":
            self._answer(400, {"error": {"message": "no such model", "type": "invalid_request_error"}})
        elif "chat/completions" not in self.path:
            self._answer(200, _ANTHROPIC)
        elif asked.get("stream"):
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks()]
            self._say(200, "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]))
        else:
            message = {"role": "assistant", "content": "Hi"}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            self._answer(200, _completion("chat.completion", choices) | {"usage": _OPENAI_USAGE})

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        self._say(status, "application/json", json.dumps(answer))

    def _say(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _completion(kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "c1", "object": kind, "created": 1, "model": "gpt-4o-mini-2024-07-18", "choices": choices}


def _chunks() -> list[dict[str, Any]]:
    delta = {"role": "assistant", "content": "Hi"}
    kind = "chat.completion.chunk"
    return [
        _completion(kind, [{"index": 0, "delta": delta, "finish_reason": None}]),
        _completion(kind, [{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        _completion(kind, []) | {"usage": _OPENAI_USAGE},
    ]


__all__ = ["model_server"]
