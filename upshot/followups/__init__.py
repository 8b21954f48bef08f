"""Follow-ups in code: async functions waiting for outcomes of a run, minutes or weeks, and scoring the run.

Input: the snapshot of a follow-up (`upshot.processors.followups.execution.Snapshot`). Output: the commands of
the follow-up's code. Nothing here keeps anything: keeping is the part of the worker, through
`upshot.followups.executor`. Users import `upshot.Followup`, `upshot.expect` and so on.
"""
