"""The contract on the wire: servicers, interceptors, and conversion between messages and the domain."""
