"""connectconformance, the public suite of the Connect project, for gRPC over HTTP/2: a client and a server for it to test."""
