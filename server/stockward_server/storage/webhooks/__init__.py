"""Endpoints, and deliveries claimed by lane."""
