"""OrderService."""
