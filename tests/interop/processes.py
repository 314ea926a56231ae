"""Child processes with their logs, free ports, and waiting. Nothing waits a fixed
time; everything is ended by its own process id."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# How long anything may take that should happen. Wide: the machine may be busy with other things.
LIMIT_SECONDS = float(os.environ.get("INTEROP_LIMIT", "300"))
# How long a condition rests between two looks.
LOOK_EVERY_SECONDS = 0.05
PORT_MIN, PORTS = 10_000, 6_000


def free_port():
    """A port of loopback that nobody listens on; the tests in Rust take theirs from above this range."""
    for _ in range(1000):
        port = PORT_MIN + int.from_bytes(os.urandom(2), "big") % PORTS
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


def wait_for(what, condition, seen=lambda: "", limit=LIMIT_SECONDS, every=LOOK_EVERY_SECONDS):
    """The first true answer of `condition`, within the limit."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}; seen last: {seen()}"
        time.sleep(every)
    return found


def answers(host, port):
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def temporary_folder():
    """A folder for one run, removed in the end; kept if `INTEROP_KEEP` is set, and its place told."""
    folder = Path(tempfile.mkdtemp(prefix="conduit-interop-"))
    try:
        yield folder
    finally:
        if os.environ.get("INTEROP_KEEP"):
            print(f"logs and data are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def end_with_parent():
    """In a child before it becomes its program: the kernel ends it when the thread that started it is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child process with its log. To be started by the main thread: it ends with the thread that started it, so
    that nothing is left behind even when the test is killed."""

    def __init__(self, name, command, folder, environment=None, prefix=()):
        self.log_file = Path(folder) / f"{name}.log"
        self.log = self.log_file.open("ab")
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CONDUIT_")}
        self.child = subprocess.Popen(
            [*prefix, *(str(word) for word in command)],
            stdout=self.log,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            env=clean | (environment or {}),
            cwd=folder,
            preexec_fn=end_with_parent,
        )

    def alive(self):
        return self.child.poll() is None

    def kill(self):
        """`kill -9`: no chance to flush anything."""
        if self.alive():
            self.child.kill()
        self.child.wait()
        self.log.close()

    def stop(self):
        """Asks for an orderly end and waits for it."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        try:
            status = self.child.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.log_file.stem} does not stop") from None
        self.log.close()
        return status

    def memory_kib(self, field="VmRSS"):
        """Resident memory now, or another line of the process's status (`VmHWM`: the most that it ever was)."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of {self.log_file.stem}: has it ended?")

    def cpu_seconds(self):
        """Processor time used so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show_logs(folder, characters=4000):
    """Prints the end of every log of a folder."""
    for log in sorted([*Path(folder).glob("*.log"), *Path(folder).glob("*/*.log")]):
        print(f"--- {log.relative_to(folder)}\n{log.read_text(errors='replace')[-characters:]}")
