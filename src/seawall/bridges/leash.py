"""Runs a command and kills its whole process group when our end of a pipe closes.

The pipe closes however our process ends, kill -9 included, on any Unix; a stdio server that is
busy would not notice its stdin closing. Run as a file, by path, with the standard library alone:
`python -I -S leash.py LIFE_FD COMMAND…`.
"""

import contextlib
import os
import select
import signal
import sys

NOT_FOUND = 127


def main(life: int, command: list[str]) -> int:
    """Run `command` until it ends or `life` closes; return its exit code."""
    os.set_inheritable(life, False)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        child = os.posix_spawnp(
            command[0], command, os.environ, setpgroup=0, setsigdef=[signal.SIGPIPE, signal.SIGCHLD]
        )
    except OSError as error:
        print(f"seawall-fault: cannot run {command[0]!r}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND
    os.close(0)  # the child alone holds its pipes, so that their ends mean its end
    os.close(1)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        ready = [] if pid else select.select([life, wake], [], [])[0]
        if pid or life in ready:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(status) if pid else -signal.SIGKILL
            return code if code >= 0 else 128 - code
        os.read(wake, 4096)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
