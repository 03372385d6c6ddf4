"""Webhooks in: signed reports of payment providers and of others, over REST."""
