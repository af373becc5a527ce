"""The interceptors that every RPC of a server passes: telemetry, errors, identity and access, validation.

Each is a function from a handler to a handler, applied once per method when the method is registered, so that what depends on the method
alone is known before its first call. Handlers take and return bytes: parsing a request and serializing a response happen inside.
"""
