"""A program of its own: DICOM files on standard input, decoded frames on standard output, one after the other.

Run as ``python -m hilum.images.worker``. It ends when its input does, so it can't outlive whoever started it.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from hilum.errors import InputError
from hilum.images.decoded import Channel, Decoded, Request, receive_request, send_answer
from hilum.images.dicom import decode
from hilum.images.limits import Limits

# Address space that is asked for and never touched: thread stacks, the allocator's own reserve.
_RESERVE = 128 << 20


def main() -> None:
    """Answer requests until there are no more. The argument is the descriptor of the memory that is shared, if any."""
    # Ctrl-C goes to every process of a terminal; the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # What a decoder prints must not get among the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    channel = Channel(sys.stdin.buffer, answers, int(sys.argv[1]) if len(sys.argv) > 1 else None)
    # The caller closes its end to say that there is no more, and may go before it has read an answer.
    with suppress(EOFError, BrokenPipeError):
        while True:
            request = receive_request(channel)
            restrict(request.limits, len(request.data))
            send_answer(channel, _answer(request))
            del request


def _answer(request: Request) -> Decoded | InputError:
    try:
        return decode(*request)
    except InputError as error:
        return error


def restrict(limits: Limits, size: int) -> None:
    """Let this process have, from here on, so much more memory and so many more seconds, where the system can say so.

    Beyond its memory an allocation fails; beyond its seconds (of computing, not of waiting) the process is ended.
    """
    with suppress(ImportError, ValueError, OSError):  # Windows has none of it, macOS not all
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(usage.ru_utime + usage.ru_stime)
        hardest = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (spent + 1 + limits.max_seconds, hardest))
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        # The file stands in memory up to four times: as it came, as an element, as a frame, as the decoder's copy.
        room = pages * resource.getpagesize() + _RESERVE + limits.max_memory + 4 * size
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main()
