"""The twin, whose sends take as long as they would on the way to a region of Azure. Argument: seconds for each."""

from __future__ import annotations

import asyncio
import json
import sys

from streamsink.backends.signalr.twin import twin
from streamsink.backends.signalr.twin.faults import Faults


async def main() -> None:
    faults = Faults()
    sends = faults.inject("send", delay_s=float(sys.argv[1]))
    faults.inject("join", delay_s=float(sys.argv[1]))
    async with twin(faults=faults) as service:
        _say(connection_string=service.connection_string)
        while await asyncio.to_thread(sys.stdin.readline):  # any line asks for the number of sends
            _say(sends=faults.happened[sends])


def _say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
