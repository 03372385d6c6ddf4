"""The gRPC server: a package a service, each with its servicer and its messages to and from the domain."""
