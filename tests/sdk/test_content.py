"""What agents and steps were given and gave: kept where it's wanted, and as what."""

from __future__ import annotations

import upshot
from upshot import App
from upshot.testing import Captured


def test_content_is_opt_in(app: App, sent: Captured) -> None:
    @app.agent
    def answer(ticket: str, *, tone: str = "dry") -> dict[str, str]:
        with upshot.current_run().step("look up") as step:
            step.set_output({"found": 1})
        return {"text": ticket}

    answer("secret")
    app.capture_content = True
    answer("open", tone="kind")
    first, second = sent.runs
    assert "input" not in first and "output" not in first
    assert second["input"] == '{"ticket":"open","tone":"kind"}'
    assert second["output"] == '{"text":"open"}'
    assert [step["output"] for step in sent.steps] == ['{"found":1}'] * 2


async def test_how_a_result_is_kept(app: App, sent: Captured) -> None:
    async def later(value: object) -> object:
        return value

    app.capture_content = True
    async with app.run("helper") as run:
        run.step("text", str.upper, "a")
        await run.step("json", later, {"a": 1})
        await run.step("awaited", lambda: later(5))
        await run.step("str", later, app)
        await run.step("half", later, "x\ud800")
    kept = {step["name"]: (step["output"], step["attributes"]) for step in sent.steps}
    assert kept["text"] == ("A", {"upshot.result": "text"})
    assert kept["json"] == ('{"a":1}', {"upshot.result": "json"})
    assert kept["awaited"] == ("5", {"upshot.result": "json", "upshot.result_awaited": True})
    assert kept["str"][1] == {"upshot.result": "str"}
    assert kept["half"] == ("x?", {"upshot.result": "text"})
    assert [step["input"] for step in sent.steps][1] == '{"value":{"a":1}}'
