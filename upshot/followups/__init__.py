"""Follow-ups in code: async functions that wait, for minutes or weeks, for what happens after a run, and score it.

Comes in: what is known of a follow-up (`upshot.processors.followups.execution.Memory`). Goes out: what its code
asks for next. Nothing here keeps anything; that is the worker's part, which takes
`upshot.followups.executor`. Users find what they need as `upshot.Followup`, `upshot.expect` and so on.
"""
