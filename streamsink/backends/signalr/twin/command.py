"""``streamsink twin``: the twin until a signal, and what it is told meanwhile."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamsink.backends.signalr.twin.fault_text import parse_fault
from streamsink.backends.signalr.twin.faults import Faults
from streamsink.backends.signalr.twin.service import twin
from streamsink.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamsink.backends.signalr.twin.faults import Fault

__all__ = ["TwinOptions", "execute", "run"]

# Public, of Microsoft's emulator: what was configured for that one works here. Only where nobody else can connect.
_EMULATORS_KEY: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_CHUNK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinOptions:
    """What the command line says.

    Args:
        host: to listen on; beyond loopback there have to be keys.
        port: 0: a free one.
        keys: the first signs; empty: the emulator's.
        endpoint: the URL under which others reach it; None: the address that it listens on.
        faults: rules, as :func:`parse_fault` reads them.
        seed: of all that is random.
        close_reconnects: see :class:`~streamsink.backends.signalr.twin.service.Twin`.
    """

    host: str = "127.0.0.1"
    port: int = 8888
    keys: Sequence[str] = ()
    endpoint: str | None = None
    faults: Sequence[str] = ()
    seed: int = 0
    close_reconnects: bool = True


def run(options: TwinOptions, *, say: Callable[[str], None], read: Callable[[int], bytes] | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        say: is given the connection string, once clients can connect, and then the answers to commands.
        read: gives the next bytes of the commands, waiting for them; empty at their end. None: there are none.

    Raises:
        SettingsError: an option is wrong.
        OSError: the address cannot be had.
    """
    if not options.keys and options.host not in _LOOPBACK:
        raise SettingsError("--key", f"given, at least 32 characters, where others can connect ({options.host})")
    faults = Faults(seed=options.seed)
    for text in options.faults:
        faults.add(_parsed(text))
    asyncio.run(_serve(options, faults, say, read))


def _parsed(text: str) -> Fault:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise SettingsError("--fault", f"such as 'send:status=503,probability=0.05'; {error}") from None


async def _serve(
    options: TwinOptions, faults: Faults, say: Callable[[str], None], read: Callable[[int], bytes] | None
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows: Ctrl-C cancels the task instead
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
    async with twin(
        host=options.host,
        port=options.port,
        keys=options.keys or (_EMULATORS_KEY,),
        endpoint=options.endpoint,
        faults=faults,
        close_reconnects=options.close_reconnects,
    ) as service:
        say(service.connection_string)
        if read is not None:
            # A daemon: nothing can end a read of the terminal.
            threading.Thread(target=_listen, args=(loop, faults, say, read), daemon=True).start()
        await stopped.wait()


def _listen(
    loop: asyncio.AbstractEventLoop, faults: Faults, say: Callable[[str], None], read: Callable[[int], bytes]
) -> None:
    rest = b""
    while data := read(_CHUNK_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_answer, faults, say, line.decode(errors="replace"))


def _answer(faults: Faults, say: Callable[[str], None], line: str) -> None:
    say(execute(faults, line))


def execute(faults: Faults, line: str) -> str:
    """Do what a line says, and say what was done: ``fault RULE``, ``clear``, ``cut [COUNT]`` or ``expire``."""
    word, _, rest = line.strip().partition(" ")
    try:
        if word == "fault":
            faults.add(parse_fault(rest))
        elif word == "clear":
            faults.clear()
        elif word == "expire":
            faults.expire_tokens()
        elif word == "cut":
            return f"ok {faults.cut_clients(int(rest) if rest else None)}"
        else:
            return "error: commands are: fault RULE, clear, cut [COUNT], expire"
    except ValueError as error:
        return f"error: {error}"
    return "ok"
