"""The status page: a look at running components, new scores, and failures."""
