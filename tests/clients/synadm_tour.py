"""An administrator's tour with synadm, the command line for Synapse's administration API, as it comes from PyPI.

Usage: synadm_tour.py BASE_URL REGISTRATION_TOKEN, with a server on which nobody has registered yet. Prints a line for
each step, and `all steps passed` at the end; a failed step ends the script with its reason and status 1.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PASSWORD = "correct horse battery staple"
WAIT_SECONDS = 60


def request(method, url, token=None, body=None):
    """Asks the server what a client would, for what the tour needs beside the tool."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method)
    asked.add_header("Content-Type", "application/json")
    if token:
        asked.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Tour:
    def __init__(self, base_url, token, folder):
        self.client = f"{base_url}/_matrix/client/v3"
        self.registration_token = token
        self.admin_id, self.admin_token = self.register("root")
        self.user_id, self.user_token = self.register("mallory")
        self.config = pathlib.Path(folder) / "synadm.yaml"
        settings = {
            "user": self.admin_id,
            "token": self.admin_token,
            "protocol": base_url.split(":")[0],
            "base_url": base_url,
            "admin_path": "/_synapse/admin",
            "matrix_path": "/_matrix",
            "format": "json",
            "timeout": 30,
            "server_discovery": "well-known",
            "homeserver": self.admin_id.split(":", 1)[1],
            "ssl_verify": True,
        }
        # JSON is YAML.
        self.config.write_text(json.dumps(settings))

    def register(self, name):
        body = {"username": name, "password": PASSWORD}
        _, challenge = request("POST", f"{self.client}/register", body=body)
        answer = None
        for stage in challenge["flows"][0]["stages"]:
            auth = {"type": stage, "session": challenge["session"]}
            if stage == "m.login.registration_token":
                auth["token"] = self.registration_token
            status, answer = request("POST", f"{self.client}/register", body={**body, "auth": auth})
            assert status in (200, 401), answer
        return answer["user_id"], answer["access_token"]

    def synadm(self, *arguments):
        """What the tool tells as JSON; `None` if it tells only in words."""
        command = [str(pathlib.Path(sys.executable).parent / "synadm"), "-c", str(self.config)]
        command += ["--batch", "-o", "minified", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        # What is to be done comes before what came of it, both for people to read.
        for line in reversed(done.stdout.splitlines()):
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                continue
        return None

    def room(self):
        body = {"name": "Trouble", "preset": "public_chat", "room_alias_name": "trouble"}
        _, created = request("POST", f"{self.client}/createRoom", self.user_token, body)
        for number in range(50):
            path = f"{self.client}/rooms/{created['room_id']}/send/m.room.message/{number}"
            content = {"msgtype": "m.text", "body": f"message {number}"}
            status, answer = request("PUT", path, self.user_token, content)
            assert status == 200, answer
        return created["room_id"]

    def users(self):
        found = self.synadm("user", "list")
        names = {user["name"] for user in found["users"]}
        assert found["total"] == 2 and names == {self.admin_id, self.user_id}, found
        details = self.synadm("user", "details", self.user_id)
        assert details["name"] == self.user_id and details["admin"] is False, details
        whois = self.synadm("user", "whois", self.user_id)
        assert whois["user_id"] == self.user_id and whois["devices"], whois
        modified = self.synadm("user", "modify", self.user_id, "--display-name", "Mallory")
        assert modified["displayname"] == "Mallory", modified

    def rooms(self, room):
        found = self.synadm("room", "list")
        assert [r["room_id"] for r in found["rooms"]] == [room], found
        details = self.synadm("room", "details", room)
        assert details["name"] == "Trouble" and details["joined_members"] == 1, details
        members = self.synadm("room", "members", room)
        assert members["members"] == [self.user_id], members
        state = self.synadm("room", "state", room)
        assert any(event["type"] == "m.room.create" for event in state["state"]), state

    def tokens(self):
        made = self.synadm("regtok", "new", "--token", "once", "--uses-allowed", "1")
        assert made["token"] == "once" and made["uses_allowed"] == 1, made
        found = self.synadm("regtok", "list")
        assert [token["token"] for token in found["registration_tokens"]] == ["once"], found
        self.synadm("regtok", "delete", "once")
        assert self.synadm("regtok", "list")["registration_tokens"] == []

    def deactivate(self):
        done = self.synadm("user", "deactivate", self.user_id)
        assert done["id_server_unbind_result"] == "success", done
        status, _ = request("GET", f"{self.client}/account/whoami", self.user_token)
        assert status == 401, status
        assert self.synadm("user", "list")["total"] == 1

    def delete(self, room):
        started = self.synadm("room", "delete", room, "--block")
        delete_id = started["delete_id"]
        seen = []
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            status = self.synadm("room", "delete-status", "--delete-id", delete_id)
            seen.append(status["status"])
            assert status["status"] != "failed", status
            if status["status"] == "complete":
                break
        assert seen[-1] == "complete", seen
        assert status["shutdown_room"]["local_aliases"], status
        assert self.synadm("room", "delete-status", "--room-id", room)["results"]
        assert self.synadm("room", "list")["total_rooms"] == 0
        assert self.synadm("room", "block-status", room)["block"] is True

    def version(self):
        assert self.synadm("version")["server_version"].startswith("conduit")


def main():
    base_url, token = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        tour = Tour(base_url.rstrip("/"), token, folder)
        room = tour.room()
        for name, step in [
            ("the version is told", tour.version),
            ("users are listed, looked at and changed", tour.users),
            ("rooms are listed and looked at", lambda: tour.rooms(room)),
            ("tokens for registration are made and removed", tour.tokens),
            ("a user is deactivated", tour.deactivate),
            ("a room is deleted, and its progress seen", lambda: tour.delete(room)),
        ]:
            step()
            print(name, flush=True)
    print("all steps passed")


main()
