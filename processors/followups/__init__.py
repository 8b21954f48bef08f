"""Follow-ups: deferred work waiting, durably, for later outcomes."""
