"""Pure rules of the shop: no I/O, no protobuf, no clock. Everything else depends on this, and this on nothing."""
