"""The role `sources`: other systems' topics, mapped to outcomes by an app's sources."""
