"""Makes schemathesis send a list as JSON lines."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context: schemathesis.SerializationContext, value: object) -> bytes:
    text = "\n".join(map(json.dumps, value)) if isinstance(value, list) else str(value)
    return text.encode(errors="surrogatepass")
