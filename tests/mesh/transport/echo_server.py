"""The echo service as a process, for the conformance suites: `python -m tests.mesh.transport.echo_server` prints its port."""

import uvloop

from tests.mesh.transport.peers import Echo, serve


async def main() -> None:
    async with serve(Echo()) as (server, port):
        print(port, flush=True)
        await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
