"""What the bridges' tests stand on: a conduit process, an IRC server, a Matrix user and an IRC user, all on
loopback and in a temporary folder. Waiting is always for something to happen, with a limit."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

LIMIT_SECONDS = 240


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
        self.log = (folder / f"{name}.log").open("ab")
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, **more)

    def kill(self):
        self.child.kill()
        self.child.wait()


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

    def crash(self):
        self.process.kill()
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
    """Somebody on IRC, who keeps all lines seen."""

    def __init__(self, port, nick):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS)
        self.buffer, self.lines = b"", []
        self.send(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
        self.wait("welcome", lambda line: " 001 " in line)

    def send(self, *lines):
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def read(self):
        self.socket.settimeout(0.05)
        try:
            data = self.socket.recv(65536)
            assert data, "the IRC server closed the connection"
            self.buffer += data
        except TimeoutError:
            pass
        *whole, self.buffer = self.buffer.split(b"\r\n")
        for line in whole:
            line = line.decode(errors="replace")
            if line.startswith("PING"):
                self.send(line.replace("PING", "PONG", 1))
            else:
                self.lines.append(line)

    def wait(self, what, matches):
        def look():
            self.read()
            return next((line for line in self.lines if matches(line)), None)

        return wait_for(f"on IRC: {what}", look)

    def said(self, channel):
        """All that was said in a channel by others, in order."""
        self.read()
        marker = f" PRIVMSG {channel} :"
        return [line.split(marker, 1)[1] for line in self.lines if marker in line]


class MatrixUser:
    """Somebody on Matrix, who keeps all events seen and joins where invited."""

    def __init__(self, conduit, name):
        self.conduit, self.token, self.since, self.transaction = conduit, None, None, 0
        self.events, self.invited = [], {}
        body = {"username": name, "password": "correct horse", "auth": {"type": "m.login.dummy"}}
        session = self.ask("POST", "/_matrix/client/v3/register", body)
        self.user_id, self.token = session["user_id"], session["access_token"]

    def ask(self, method, path, body=None):
        def once():
            request = urllib.request.Request(self.conduit.url + path, method=method)
            if self.token:
                request.add_header("Authorization", f"Bearer {self.token}")
            data = None if body is None else json.dumps(body).encode()
            try:
                with urllib.request.urlopen(request, data, timeout=LIMIT_SECONDS) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
            except (urllib.error.URLError, ConnectionError):
                return None  # the server is being killed and started again

        return wait_for(f"{method} {path}", once)

    def sync(self):
        query = {"timeout": 200} | ({"since": self.since} if self.since else {})
        answer = self.ask("GET", f"/_matrix/client/v3/sync?{urllib.parse.urlencode(query)}")
        self.since = answer["next_batch"]
        rooms = answer.get("rooms", {})
        for room, joined in rooms.get("join", {}).items():
            assert not joined["timeline"].get("limited") or not self.events_of(room), "no gap: ask for more at a time"
            for event in joined.get("state", {}).get("events", []) + joined["timeline"]["events"]:
                self.events.append({**event, "room_id": room})
        for room, invite in rooms.get("invite", {}).items():
            self.invited[room] = invite["invite_state"]["events"]

    def events_of(self, room):
        return [event for event in self.events if event["room_id"] == room]

    def wait(self, what, matches):
        def look():
            self.sync()
            return next((event for event in self.events if matches(event)), None)

        return wait_for(f"on Matrix: {what}", look, lambda: [event["content"] for event in self.events[-20:]])

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
        """All that others said in a room, in order."""
        return [
            event["content"]["body"]
            for event in self.events_of(room)
            if event["type"] == "m.room.message" and event["sender"] != self.user_id
        ]


def temporary_world():
    import tempfile

    return tempfile.TemporaryDirectory(prefix="conduit-bridges-")


def show_logs(folder):
    for log in sorted(Path(folder).glob("*.log")):
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}")
