"""Validation of requests by the rules of the contract, bounded before it begins."""
