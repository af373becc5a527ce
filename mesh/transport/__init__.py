"""gRPC on the event loop, over libnghttp2. It takes the place of grpc.aio's channel and server, and keeps grpcio's types."""
