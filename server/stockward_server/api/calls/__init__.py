"""What surrounds every call: credential, limits, time, log, metrics, trace and the status of an error."""
