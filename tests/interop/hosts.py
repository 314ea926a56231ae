"""conduit servers that are hosts of their own: each in a network namespace, with the address that is its name, and
nothing between them but `switch.py`. Their users reach them by Unix sockets, as if they sat at the machine itself, so
a network that is parted parts servers and not users from their server. Needs root."""

import json
import os
import subprocess
import sys
from pathlib import Path

from processes import LIMIT_SECONDS, Process, end_with_parent, wait_for
from servers import Homeserver

# Addresses for measuring networks with (RFC 2544): never on the internet. They exist in our namespaces only.
NETWORK = "198.18.77"


class Hosts:
    """Namespaces and the switch between them."""

    def __init__(self, count):
        self.count = count
        self.namespaces = [f"conduit-{os.getpid()}-{number}" for number in range(count)]
        self.addresses = [f"{NETWORK}.{number + 1}" for number in range(count)]
        self.switch = None

    def __enter__(self):
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "add", namespace], check=True)
        pairs = [f"{namespace}={address}" for namespace, address in zip(self.namespaces, self.addresses)]
        program = Path(__file__).with_name("switch.py")
        self.switch = subprocess.Popen(
            [sys.executable, program, *pairs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,
        )
        assert self.switch.stdout.readline() == "ready\n", "the switch does not start: are we root, is there a tun device?"
        return self

    def __exit__(self, *_):
        if self.switch:
            self.switch.stdin.close()
            self.switch.wait(LIMIT_SECONDS)
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "delete", namespace], check=False)

    def set(self, **change):
        """Changes the network (see `switch.py`); how many packets it has moved, lost and kept back until now."""
        self.switch.stdin.write(json.dumps(change) + "\n")
        self.switch.stdin.flush()
        return json.loads(self.switch.stdout.readline())


class Host(Homeserver):
    """A conduit in one of the namespaces."""

    def __init__(self, program, folder, authority, hosts, number, lines=""):
        namespace, address = hosts.namespaces[number], hosts.addresses[number]
        enter = ("ip", "netns", "exec", namespace)
        super().__init__(f"host-{number}", folder, host=address, name=address, prefix=enter)
        self.program, self.socket = program, self.folder / "socket"
        certificate, key = authority.certificate(self.kind, hosts=(), addresses=(address,))
        self.config = self.folder / "conduit.toml"
        self.config.write_text(
            f'server_name = "{address}"\ndata_dir = "{self.folder}/data"\nlisten = ["unix:{self.socket}"]\n'
            f"allow_registration = true\nallow_open_registration = true\n{lines}\n"
            "[rate_limits]\nenabled = false\n"
            f'[tls]\nlisten = ["{address}:8448"]\ncertificate_file = "{certificate}"\nkey_file = "{key}"\n'
            f'[outbound]\nca_file = "{authority.file}"\nallowed_ranges = ["{NETWORK}.0/24"]\n'
            "[federation]\ntrusted_key_servers = []\n"
        )

    def command(self):
        return [self.program, "--config", self.config]

    def start(self):
        self.socket.unlink(missing_ok=True)
        self.process = Process(self.kind, self.command(), self.folder, prefix=self.prefix)

        def listens():
            assert self.process.alive(), f"{self.kind} ended: {self.log()[-3000:]}"
            return self.socket.exists()

        wait_for(f"{self.kind} listens", listens)

    def log(self):
        return (self.folder / f"{self.kind}.log").read_text(errors="replace")

    def check(self):
        assert self.process is None
        done = subprocess.run([*self.command(), "check"], capture_output=True, text=True)
        return None if done.returncode == 0 else f"{done.stdout}{done.stderr}"[-3000:]
