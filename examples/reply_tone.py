"""Two tones of a support agent on live traffic, compared on whether tickets stay solved.

upshot up                                      # in another terminal
python examples/reply_tone.py
upshot experiments results reply-tone --control plain --decide stays_solved:rate:P7D
"""

from __future__ import annotations

import upshot

PLAIN = "Answer in two sentences."
WARM = "Answer kindly, and thank the customer."

app = upshot.App("support", version="2.0")
tone = app.experiment("reply-tone", {"plain": PLAIN, "warm": WARM}, control="plain", unit="user")


@app.step(kind="model")
def draft(prompt: str, question: str) -> str:
    """Stands for a call of a model."""
    return f"{question} Your refund takes five days. ({prompt})"


@app.agent
def answer(user: str, ticket: int, question: str) -> str:
    """A user has one tone, in every run and every process; the wait carries the variant."""
    prompt = tone.choose(unit=user)
    reply = draft(prompt.value, question)
    upshot.current_run().wait(
        "stays_solved", f"ticket:{ticket}", on={"ticket.reopened": False}, within="P7D", otherwise=True
    )
    return f"{prompt.name}: {reply}"


if __name__ == "__main__":
    for number in range(1, 7):
        print(answer(f"user-{number % 4}", number, "Where is my refund?"))
    app.outcome("ticket.reopened", "ticket:3")
    app.flush()
