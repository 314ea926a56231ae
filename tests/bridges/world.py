"""What the bridges' tests stand on: a conduit process, an IRC server, a Matrix user and an IRC user, all on
loopback and in a temporary folder. Waiting is always for something to happen, with a limit."""

import json
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

LIMIT_SECONDS = 240
PASSWORD = "correct horse"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, seen=lambda: ""):
    end = time.monotonic() + LIMIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {LIMIT_SECONDS} s: {what}; seen last: {seen()}"
        time.sleep(0.02)
    return found


class Process:
    """A child process with its log; ended with the test."""

    def __init__(self, name, command, folder, **more):
        self.path = folder / f"{name}.log"
        self.log = self.path.open("ab")
        streams = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log}
        self.child = subprocess.Popen(command, **(streams | more))

    def kill(self):
        self.child.kill()
        self.child.wait()

    def wait_log(self, text):
        def look():
            assert self.child.poll() is None, f"{self.path.name}: ended with {self.child.returncode}"
            return text in self.path.read_text(errors="replace")

        wait_for(f"{self.path.name} says {text}", look)


class Conduit:
    """The server, which can be killed and started again at the same port."""

    def __init__(self, program, folder):
        self.program, self.folder, self.port = program, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "conduit.toml"
        self.config.write_text(
            f'server_name = "localhost"\ndata_dir = "{folder}/data"\nlisten = ["127.0.0.1:{self.port}"]\n'
            'allow_registration = true\nallow_open_registration = true\n[rate_limits]\nenabled = false\n'
        )
        self.start()

    def start(self):
        self.process = Process("conduit", [self.program, "--config", self.config], self.folder)
        wait_for("conduit listens", lambda: answers("127.0.0.1", self.port))

    def kill(self):
        self.process.kill()

    def crash(self):
        self.kill()
        self.start()

    def command(self, *arguments):
        subprocess.run([self.program, "--config", self.config, *arguments], check=True, stdout=subprocess.DEVNULL)


def answers(host, port):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


class IrcServer:
    """ngircd without log-ins, look-ups and limits that a test would meet."""

    def __init__(self, folder):
        self.port = free_port()
        config = folder / "ngircd.conf"
        config.write_text(
            f"[Global]\nName = irc.test\nInfo = test\nListen = 127.0.0.1\nPorts = {self.port}\n"
            "[Limits]\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\nMaxNickLength = 20\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        )
        self.process = Process("ngircd", ["ngircd", "-n", "-f", str(config)], folder)
        wait_for("ngircd listens", lambda: answers("127.0.0.1", self.port))


class IrcUser:
    """Somebody on IRC, who keeps all lines seen. A thread reads them, and answers the server's PING whatever the
    test waits for."""

    def __init__(self, port, nick):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.lines, self.is_open = [], True
        threading.Thread(target=self.read, daemon=True).start()
        self.send(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
        self.wait("welcome", lambda line: " 001 " in line)

    def send(self, *lines):
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def read(self):
        with self.socket.makefile("rb") as incoming:
            for line in incoming:
                line = line.decode(errors="replace").rstrip("\r\n")
                if line.startswith("PING"):
                    self.send(line.replace("PING", "PONG", 1))
                else:
                    self.lines.append(line)
        self.is_open = False

    def wait(self, what, matches, since=0):
        """The first line after the first `since` that matches."""

        def look():
            found = next((line for line in self.lines[since:] if matches(line)), None)
            assert found or self.is_open, f"the IRC server closed the connection: {self.lines[-5:]}"
            return found

        return wait_for(f"on IRC: {what}", look, lambda: self.lines[-10:])

    def said(self, channel):
        """All that was said in a channel by others, in order."""
        marker = f" PRIVMSG {channel} :"
        return [line.split(marker, 1)[1] for line in self.lines if marker in line]


class MatrixUser:
    """Somebody on Matrix, who keeps all events seen and joins where invited."""

    def __init__(self, conduit, name=None, token=None):
        self.conduit, self.token, self.since, self.transaction = conduit, token, None, 0
        self.events, self.invited, self.typing, self.left = [], {}, {}, {}
        if token:
            return
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        session = self.ask("POST", "/_matrix/client/v3/register", body)
        self.user_id, self.device_id, self.token = (session[key] for key in ("user_id", "device_id", "access_token"))

    def is_known(self):
        """Whether the server knows the token yet."""
        try:
            return self.ask("GET", "/_matrix/client/v3/account/whoami")
        except AssertionError:
            return None

    def ask(self, method, path, body=None):
        def once():
            request = urllib.request.Request(self.conduit.url + path, method=method)
            if self.token:
                request.add_header("Authorization", f"Bearer {self.token}")
            data = None if body is None else json.dumps(body).encode()
            try:
                with urllib.request.urlopen(request, data, timeout=LIMIT_SECONDS) as answer:
                    return [json.load(answer)]
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
            except (urllib.error.URLError, ConnectionError):
                return None  # the server is being killed and started again

        return wait_for(f"{method} {path}", once)[0]

    def sync(self):
        query = {"timeout": 200, "filter": '{"room":{"timeline":{"limit":1000}}}'} | ({"since": self.since} if self.since else {})
        answer = self.ask("GET", f"/_matrix/client/v3/sync?{urllib.parse.urlencode(query)}")
        self.since = answer["next_batch"]
        rooms = answer.get("rooms", {})
        for room, joined in rooms.get("join", {}).items():
            timeline = joined.get("timeline", {})
            assert not timeline.get("limited") or not self.events_of(room), "no gap: ask for more at a time"
            for event in joined.get("state", {}).get("events", []) + timeline.get("events", []):
                self.events.append({**event, "room_id": room})
            for event in joined.get("ephemeral", {}).get("events", []):
                if event["type"] == "m.typing":
                    self.typing[room] = event["content"]["user_ids"]
        for room, left in rooms.get("leave", {}).items():
            self.left[room] = left["timeline"]["events"]
        for room, invite in rooms.get("invite", {}).items():
            self.invited[room] = invite["invite_state"]["events"]

    def events_of(self, room):
        return [event for event in self.events if event["room_id"] == room]

    def wait(self, what, matches):
        def look():
            self.sync()
            return next((event for event in self.events if matches(event)), None)

        return wait_for(f"on Matrix: {what}", look, lambda: [event["content"] for event in self.events[-20:]])

    def wait_typing(self, room, user):
        def look():
            self.sync()
            return user in self.typing.get(room, [])

        wait_for(f"on Matrix: {user} is typing", look)

    def wait_left(self, room):
        """The event by which the user is not in the room any more."""

        def look():
            self.sync()
            return self.left.get(room)

        return wait_for("on Matrix: out of the room", look)[-1]

    def accept_invite(self, what, matches):
        def look():
            self.sync()
            return next((room for room, state in self.invited.items() if matches(state)), None)

        room = wait_for(f"an invite: {what}", look)
        del self.invited[room]
        self.ask("POST", f"/_matrix/client/v3/join/{urllib.parse.quote(room)}", {})
        return room

    def say(self, room, text):
        self.transaction += 1
        path = f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/send/m.room.message/{self.transaction}"
        return self.ask("PUT", path, {"msgtype": "m.text", "body": text})

    def said(self, room):
        """All lines that others said in a room, in order: bridges join quick ones into one message."""
        return [
            line
            for event in self.events_of(room)
            if event["type"] == "m.room.message" and event["sender"] != self.user_id
            for line in event["content"]["body"].split("\n")
        ]


def main(name, run, *arguments):
    """Runs a test in a folder of its own, ends what it leaves running, and shows the logs if it fails."""
    with tempfile.TemporaryDirectory(prefix="conduit-bridges-") as folder:
        started, running = time.monotonic(), []
        try:
            result = run(*arguments, Path(folder), running)
            print(f"{name}: passed in {time.monotonic() - started:.0f} s: {result}")
        except BaseException:
            for log in sorted(Path(folder).glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}")
            raise
        finally:
            for process in running:
                process.kill()
