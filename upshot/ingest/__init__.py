"""The HTTP API: events over HTTP, as webhooks, by signed links; all or none of a request is taken."""
