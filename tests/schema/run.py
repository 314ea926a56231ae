"""schemathesis (PyPI) against a running server and the Matrix specification's own OpenAPI files.

Usage: tests/schema/run PROGRAM [SECONDS]; CONDUIT_MATRIX_SPEC names a checkout of matrix-org/matrix-spec at v1.19.
Looks for answers of 500 and above and for answers that break the specification's schema. Writes what was found to
the folder CONDUIT_TEST_REPORT, if it is set; ends with status 1 if anything was.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import merge

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PASSWORD = "correct horse battery staple"

# They would end the session or the account with which the others are asked, or stop it from doing so.
LEFT_OUT = {
    "logout",
    "logout_all",
    "deactivateAccount",
    "deleteDevice",
    "deleteDevices",
    "changePassword",
    # Waits for events, for as long as it is told.
    "sync",
    # Fetch pages from other hosts, whose failures are passed on as 502.
    "getUrlPreview",
    "getUrlPreviewAuthed",
}


def ask(method, url, token=None, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url}: {error.code} {error.read()!r}") from error


class Server:
    def __init__(self, program, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config = pathlib.Path(folder) / "conduit.toml"
        config.write_text(
            f'server_name = "localhost"\ndata_dir = "{folder}/data"\nlisten = ["127.0.0.1:{port}"]\n'
            "allow_registration = true\nallow_open_registration = true\n"
            "[federation]\nenabled = false\n[rate_limits]\nenabled = false\n[log]\nfilter = \"warn\"\n"
        )
        self.log = open(f"{folder}/log", "w+", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONDUIT_")}
        self.process = subprocess.Popen([program, "--config", str(config)], stderr=self.log, env=environment)
        end = time.monotonic() + 60
        while True:
            try:
                ask("GET", f"{self.url}/_matrix/client/versions")
                return
            except (OSError, AssertionError):
                running = self.process.poll() is None
                assert time.monotonic() < end and running, pathlib.Path(f"{folder}/log").read_text(encoding="utf-8")
                time.sleep(0.1)

    def register(self, name):
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        return ask("POST", f"{self.url}/_matrix/client/v3/register", body=body)

    def fill(self):
        """Users, rooms and events; what arguments may be called, and the token of who asks."""
        client = f"{self.url}/_matrix/client/v3"
        alice, bob = self.register("alice"), self.register("bob")
        token = alice["access_token"]
        room = ask("POST", f"{client}/createRoom", token, {
            "preset": "public_chat", "name": "Room", "topic": "Topic", "room_alias_name": "room",
        })["room_id"]
        ask("POST", f"{client}/join/{room}", bob["access_token"], {})
        events = []
        for number in range(5):
            path = f"{client}/rooms/{room}/send/m.room.message/{number}"
            events.append(ask("PUT", path, token, {"msgtype": "m.text", "body": f"message {number}"})["event_id"])
        relation = {"rel_type": "m.thread", "event_id": events[0]}
        ask("PUT", f"{client}/rooms/{room}/send/m.room.message/thread", token,
            {"msgtype": "m.text", "body": "reply", "m.relates_to": relation})
        version = ask("POST", f"{client}/room_keys/version", token, {
            "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc", "signatures": {}},
        })["version"]
        values = {
            "roomId": [room, "!unknown:localhost"],
            "roomIdOrAlias": [room, "#room:localhost", "#unknown:localhost"],
            "roomAlias": ["#room:localhost", "#unknown:localhost", "#new:localhost"],
            "userId": [alice["user_id"], bob["user_id"], "@nobody:localhost"],
            "eventId": [*events[:2], "$unknown"],
            "deviceId": [alice["device_id"], "UNKNOWN"],
            "eventType": ["m.room.message", "m.room.topic", "org.example.test"],
            "type": ["org.example.data", "m.direct"],
            "receiptType": ["m.read", "m.read.private", "m.fully_read"],
            "relType": ["m.thread", "m.annotation"],
            "kind": ["override", "underride", "content", "room", "sender"],
            "version": [version, "99"],
            "serverName": ["localhost"],
            "keyName": ["displayname", "avatar_url", "org.example.field"],
        }
        return token, values


def main():
    program = sys.argv[1]
    seconds = sys.argv[2] if len(sys.argv) > 2 else "600"
    spec = os.environ["CONDUIT_MATRIX_SPEC"]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder)
        try:
            token, values = server.fill()
            document = merge.merge(spec, ROOT / "docs/endpoints.tsv", values, LEFT_OUT)
            schema = pathlib.Path(folder) / "schema.json"
            schema.write_text(json.dumps(document))
            print(f"{merge.operations_of(document)} operations, {seconds} s", flush=True)
            report = os.environ.get("CONDUIT_TEST_REPORT", f"{folder}/report")
            status = subprocess.run([
                str(pathlib.Path(sys.executable).parent / "st"), "run", str(schema), "--url", server.url,
                "--header", f"Authorization: Bearer {token}", "--max-time", seconds, "--workers", "2",
                "--phases", "coverage,fuzzing", "--max-examples", "30", "--continue-on-failure", "--no-shrink",
                "--checks", "not_a_server_error,response_schema_conformance,content_type_conformance",
                "--suppress-health-check", "all", "--warnings", "off", "--seed", "1",
                "--request-timeout", "30", "--report", "ndjson", "--report-dir", report,
            ], check=False).returncode
            server.log.flush()
            log = pathlib.Path(f"{folder}/log").read_text(encoding="utf-8")
            failures = [line for line in log.splitlines() if re.search(r"ERROR|panicked", line)]
            print(f"{len(failures)} errors in the server's log")
            print("\n".join(failures[:50]))
        finally:
            server.process.terminate()
            server.process.wait(60)
    sys.exit(1 if status or failures else 0)


main()
