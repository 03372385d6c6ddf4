"""Pure rules of the shop: no I/O, no protobuf, no clock. All other packages depend on this one; it depends on none."""
