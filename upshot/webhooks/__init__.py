"""Webhooks of GitHub, Stripe and Zendesk: a signature proves the sender, a mapping makes the outcomes."""
