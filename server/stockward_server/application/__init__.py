"""Use cases: they decide with the domain and access other systems through the Protocols of `ports`."""
