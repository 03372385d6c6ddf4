"""Use cases. They decide with the domain and reach the world through the protocols of `ports`."""
