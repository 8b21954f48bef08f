"""A support agent that is scored by what happens next: was its answer helpful, did the ticket stay closed?

    upshot up                              # in another terminal
    python examples/support_agent.py

The model is a function here, so that the example runs without an account anywhere. With a real client, add
`app.instrument()` and its OpenTelemetry instrumentation: model, tokens and cost are then recorded by
themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import upshot

app = upshot.App("support", version="1.4")


@dataclass(frozen=True)
class Ticket:
    """What a customer asks."""

    number: int
    question: str


@app.step(kind="retrieval")
async def find_articles(question: str) -> list[str]:
    """What the help centre says about it."""
    articles = {"refund": "Refunds take five days.", "login": "Reset your password on the login page."}
    return [text for word, text in articles.items() if word in question.lower()]


async def draft_reply(ticket: Ticket, articles: list[str]) -> str:
    """Write the answer; here without a model, which would say its usage itself."""
    upshot.current_step().usage(model="house/template-1", input_tokens=120, output_tokens=40, cost_usd=0.0)
    return " ".join(["Hello!", *articles]) if articles else "A colleague will answer you."


@app.agent(name="support")
async def answer(ticket: Ticket) -> str:
    """Answer a ticket, and ask what becomes of it."""
    run = upshot.current_run()
    run.set_attribute("topic", "refund" if "refund" in ticket.question.lower() else "other")
    articles = await find_articles(ticket.question)
    reply = await run.step("draft", draft_reply, ticket, articles)
    run.score("found_articles", len(articles))
    run.wait(
        "stays_closed",
        f"ticket:{ticket.number}",
        on={"ticket.reopened": False},
        within=timedelta(days=7),
        otherwise=True,
    )
    return reply


async def main() -> None:
    """Answer three tickets; one customer comes back, another one says thanks."""
    tickets = [
        Ticket(1, "Where is my refund?"),
        Ticket(2, "I can't login."),
        Ticket(3, "Do you deliver to the moon?"),
    ]
    for ticket in tickets:
        print(ticket.number, await answer(ticket))
    app.outcome("ticket.reopened", "ticket:3", {"reason": "no answer"})
    if not app.flush():
        print(f"Kafka is away: {app.delivered.waiting} facts are kept on disk and sent at the next start")


if __name__ == "__main__":
    asyncio.run(main())
