"""Authentication and authorization: identifies callers and checks what they may do."""
