"""What the services share on the wire: money, times, page tokens, cursors, status."""
