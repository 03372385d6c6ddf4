"""Use cases. They decide with the domain and reach the world through the Protocols of `ports`."""
