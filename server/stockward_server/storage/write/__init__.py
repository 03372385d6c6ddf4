"""The write path: the committer, what it locks and what it writes."""
