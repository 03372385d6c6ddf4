"""Validation of requests by the rules of the contract, with limits that are checked first."""
