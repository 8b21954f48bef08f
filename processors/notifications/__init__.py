"""The role `notifications`: notices of alerts, durable, in order, each under one id."""
