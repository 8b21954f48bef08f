"""Steps: the units inside a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from upshot.schemas.fields import Attributes, Count, Event, Id, Instant, Items, Money, Name, Seconds, Text

#: `given`: somebody stated the cost. `span`: the step's instrumentation stated the cost. `table`: the cost
#: follows from a table of prices.
CostSource = Literal["given", "span", "table"]
StepStatus = Literal["running", "ok", "error", "cancelled"]


class Step(Event):
    """One model call, tool call, retrieval or function inside a run; sent once, after its end."""

    run_id: Id = Field(description="The step's run; the record's key.")
    step_id: Id = Field(description="The step's id, unique in its run.")
    parent_step_id: Id | None = Field(None, description="The step around it.")
    name: Name = Field(description="The step's name.")
    kind: Name = Field("function", description="`model`, `tool`, `retrieval`, `function` or another word.")
    status: StepStatus = Field("ok", description="The step's status.")
    attempt: Count = Field(1, description="The number of the try, from 1.")
    started_at: Instant | None = Field(None, description="When the step started.")
    ended_at: Instant | None = Field(None, description="When the step ended.")
    operation: Name | None = Field(
        None,
        description="The operation, in OpenTelemetry's words: `chat`, `embeddings`, `execute_tool`.",
    )
    provider: Name | None = Field(None, description="The provider serving the model.")
    model: Name | None = Field(None, description="The model that answered.")
    request_model: Name | None = Field(None, description="The requested model.")
    input_tokens: Count | None = Field(None, description="Tokens read, cached ones included.")
    output_tokens: Count | None = Field(None, description="Tokens written.")
    cached_input_tokens: Count | None = Field(None, description="Tokens read from a cache.")
    cache_write_input_tokens: Count | None = Field(None, description="Tokens read and written to a cache.")
    reasoning_output_tokens: Count | None = Field(None, description="Tokens written while thinking.")
    first_chunk_seconds: Seconds | None = Field(
        None, description="Seconds until the first piece of a streamed answer."
    )
    finish_reasons: Items[Name] = Field(default_factory=list, description="Why the model stopped: `stop`.")
    tool_name: Name | None = Field(None, description="The tool that was called.")
    tool_call_id: Name | None = Field(None, description="The model's id of that call.")
    prompt_name: Name | None = Field(None, description="The name of the used prompt.")
    prompt_version: Name | None = Field(None, description="The version of that prompt.")
    cost_usd: Money | None = Field(
        None, description="The cost of the step, in US dollars; absent where unknown."
    )
    cost_source: CostSource | None = Field(
        None,
        description="`given`: somebody stated the cost. `span`: the step's instrumentation stated the "
        "cost. `table`: the cost follows from a table of prices.",
    )
    response_id: Id | None = Field(
        None,
        description="The provider's id of its answer: two steps of a run with the same id report one "
        "model call, whose usage counts once.",
    )
    error: Text | None = Field(None, description="The error, where the status is `error`.")
    error_type: Name | None = Field(None, description="The kind of error, such as `TimeoutError`.")
    input: Text | None = Field(None, description="The step's input; opt-in.")
    output: Text | None = Field(None, description="The step's output; opt-in.")
    attributes: Attributes = Field(default_factory=dict, description="Free facts.")


__all__ = ["CostSource", "Step", "StepStatus"]
