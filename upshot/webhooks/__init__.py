"""Webhooks of GitHub, Stripe and Zendesk: who sent it is proven by its signature, what it means by a mapping."""
