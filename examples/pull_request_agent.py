"""An agent that opens pull requests, scored weeks later: reviewed soon, merged, and not reverted?

    cd examples
    upshot up --app pull_request_agent:app   # in another terminal: it runs the scorers, too
    python pull_request_agent.py

With a web server for GitHub's webhooks (docs/http-api.md), the mapping below makes an outcome of each closed
pull request. Here the program emits all outcomes itself.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

import upshot

app = upshot.App("coder", version="1.0")

app.map_outcomes(
    "pr.closed",
    "pr:{repository.full_name}#{pull_request.number}",
    {"merged": "pull_request.merged"},
    webhook="github",
    when="action == 'closed' && pull_request != null",
)


class PullRequest(BaseModel):
    """What was opened."""

    repository: str
    number: int

    @property
    def subject(self) -> str:
        """What events about it are told of."""
        return f"pr:{self.repository}#{self.number}"


@app.scorer
async def landed(ctx: upshot.Followup[PullRequest]) -> bool:
    """Merged within two weeks and not reverted in the week after; and how long a first review took."""
    subject, opened = ctx.data.subject, ctx.now()
    review = await ctx.wait_for_event(
        ["pr.approved", "pr.changes_requested"], subject=subject, timeout=timedelta(days=3)
    )
    if review is not None:
        ctx.score("hours_to_review", (review.time - opened) / timedelta(hours=1))
        ctx.score("approved_at_once", review.type == "pr.approved", comment=f"by {review.data['by']}")
    closed = await ctx.wait_for_event("pr.closed", subject=subject, timeout=timedelta(days=14))
    if closed is None or not closed.data["merged"]:
        return False
    reverted = await ctx.wait_for_event(
        "pr.reverted", subject=subject, timeout=timedelta(days=7), since=closed
    )
    return reverted is None


@app.agent(name="coder")
def fix(issue: int) -> PullRequest:
    """Mend an issue; here without a model, and the pull request is only said to be there."""
    run = upshot.current_run()
    run.set_attribute("issue", issue)
    pull_request = run.step("open", lambda: PullRequest(repository="acme/web", number=1000 + issue))
    run.defer(landed, pull_request)
    return pull_request


def main() -> None:
    """Mend three issues: one lands well so far, one is reverted, one is turned down."""
    good, reverted, refused = fix(1), fix(2), fix(3)
    app.outcome("pr.approved", good.subject, {"by": "ann"})
    app.outcome("pr.closed", good.subject, {"merged": True})
    app.outcome("pr.closed", reverted.subject, {"merged": True})
    app.outcome("pr.approved", reverted.subject, {"by": "bob"})
    app.outcome("pr.reverted", reverted.subject)
    app.outcome("pr.changes_requested", refused.subject, {"by": "ann"})
    app.outcome("pr.closed", refused.subject, {"merged": False})
    if not app.flush():
        print(f"Kafka is away: {app.delivered.waiting} facts are kept on disk and sent at the next start")


if __name__ == "__main__":
    main()
