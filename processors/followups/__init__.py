"""Follow-ups: deferred work that waits, durably, for what happens next."""
