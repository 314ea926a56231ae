"""A Matrix user as the tests see one: requests of the client-server API over kept connections, and a follower of
`/sync` that keeps everything seen."""

import hashlib
import hmac
import http.client
import itertools
import json
import socket
import threading
import urllib.parse

from processes import LIMIT_SECONDS, wait_for
from servers import SHARED_SECRET

PASSWORD = "correct horse battery staple"
V3 = "/_matrix/client/v3"


def quote(text):
    return urllib.parse.quote(text, safe="")


class Refused(Exception):
    """An answer other than 2xx."""

    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path}: {status} {body[:500]!r}")
        self.status = status
        try:
            self.errcode = json.loads(body).get("errcode")
        except (ValueError, AttributeError):
            self.errcode = None


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection_to(server):
    """A connection to a server's Unix socket, if it has one, or else to its port for clients."""
    if path := getattr(server, "socket", None):
        return UnixConnection(path, LIMIT_SECONDS)
    return http.client.HTTPConnection(server.host, server.client_port, timeout=LIMIT_SECONDS)


class Http:
    """Requests to one server, with a connection per thread."""

    def __init__(self, server):
        self.server, self.local = server, threading.local()

    def request(self, method, path, body=None, headers=None):
        """Status, headers and body of the answer. A kept connection that the server closed is opened again."""
        for fresh in (False, True):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                fresh = True
                connection = self.local.connection = connection_to(self.server)
            try:
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.local.connection = None
                if fresh:
                    raise ConnectionError(f"{method} {path}: {error!r}") from error
        raise AssertionError("unreachable")


class User:
    """Somebody with an account on a server."""

    def __init__(self, server, name):
        self.server, self.http, self.token = server, Http(server), None
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        session = self.post("/register", body | {"initial_device_display_name": name})
        self.user_id, self.token, self.device_id = session["user_id"], session["access_token"], session["device_id"]
        self.transactions, self.session = itertools.count(1), name
        self.since, self.presence = None, "online"
        self.timeline, self.state_seen, self.ephemeral, self.invites, self.knocks = {}, {}, {}, {}, {}
        self.to_device, self.presences, self.devices_changed, self.left = [], [], set(), set()

    # Requests.

    def ask(self, method, path, body=None, prefix=V3, content_type="application/json", raw=False):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = content_type
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, headers, answer = self.http.request(method, prefix + path, body, headers)
        if status // 100 != 2:
            raise Refused(method, prefix + path, status, answer)
        return (headers, answer) if raw else json.loads(answer)

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, {} if body is None else body, **more)

    def put(self, path, body, **more):
        return self.ask("PUT", path, body, **more)

    def refused(self, what, request, *errcodes):
        """Makes a request that must be refused with one of these errcodes."""
        try:
            answer = request()
        except Refused as error:
            assert error.errcode in errcodes, f"{what}: refused as {error}, wanted {errcodes}"
            return
        raise AssertionError(f"{what}: was allowed: {answer}")

    # Rooms.

    def create_room(self, version=None, **body):
        if version:
            body["room_version"] = version
        return self.post("/createRoom", body)["room_id"]

    def room(self, room, path=""):
        return f"/rooms/{quote(room)}{path}"

    def join(self, room_or_alias, *via):
        query = urllib.parse.urlencode([(key, server) for server in via for key in ("via", "server_name")])
        return self.post(f"/join/{quote(room_or_alias)}?{query}")["room_id"]

    def knock(self, room, *via, reason=None):
        query = urllib.parse.urlencode([(key, server) for server in via for key in ("via", "server_name")])
        return self.post(f"/knock/{quote(room)}?{query}", {"reason": reason} if reason else {})["room_id"]

    def membership(self, action, room, user=None, reason=None):
        """`invite`, `kick`, `ban`, `unban` (of a user), `leave`, `forget`."""
        body = ({"user_id": user} if user else {}) | ({"reason": reason} if reason else {})
        return self.post(self.room(room, f"/{action}"), body)

    def leave(self, room):
        return self.membership("leave", room)

    def send(self, room, content, kind="m.room.message"):
        path = self.room(room, f"/send/{kind}/{self.session}-{next(self.transactions)}")
        return self.put(path, content)["event_id"]

    def say(self, room, text):
        return self.send(room, {"msgtype": "m.text", "body": text})

    def set_state(self, room, kind, content, key=""):
        return self.put(self.room(room, f"/state/{kind}/{quote(key)}"), content)["event_id"]

    def state(self, room):
        """The current state: event by type and key."""
        return {(event["type"], event["state_key"]): event for event in self.get(self.room(room, "/state"))}

    def state_content(self, room, kind, key=""):
        try:
            return self.get(self.room(room, f"/state/{kind}/{quote(key)}"))
        except Refused as error:
            if error.status in (403, 404):
                return None
            raise

    def member(self, room, user):
        """The membership of a user as this one's server tells it."""
        return (self.state_content(room, "m.room.member", user) or {}).get("membership")

    def redact(self, room, event, reason="redacted"):
        path = self.room(room, f"/redact/{quote(event)}/{self.session}-{next(self.transactions)}")
        return self.put(path, {"reason": reason})["event_id"]

    def event(self, room, event):
        """An event, or nothing if the server does not have it or does not show it."""
        try:
            return self.get(self.room(room, f"/event/{quote(event)}"))
        except Refused as error:
            if error.status in (403, 404):
                return None
            raise

    def powers(self, room, **changes):
        """Changes power levels: keys of the event, and `users` for some users."""
        content = self.state_content(room, "m.room.power_levels")
        users = content.setdefault("users", {}) | changes.pop("users", {})
        return self.set_state(room, "m.room.power_levels", content | {"users": users} | changes)

    def history(self, room, pages_max=200):
        """All events of a room that the server shows, by id, fetched backwards from now."""
        events, start = {}, None
        for _ in range(pages_max):
            query = {"dir": "b", "limit": 100} | ({"from": start} if start else {})
            page = self.get(self.room(room, f"/messages?{urllib.parse.urlencode(query)}"))
            events |= {event["event_id"]: event for event in page["chunk"]}
            if not (start := page.get("end")):
                return events
        raise AssertionError(f"{room} has more than {pages_max} pages, or does not end")

    # Sync.

    def sync(self, timeout_ms=300):
        """One sync; what it brings is kept."""
        query = {"timeout": timeout_ms, "set_presence": self.presence}
        query["filter"] = '{"room":{"timeline":{"limit":200}}}'
        if self.since:
            query["since"] = self.since
        answer = self.get(f"/sync?{urllib.parse.urlencode(query)}")
        self.since = answer["next_batch"]
        rooms = answer.get("rooms", {})
        for room, joined in rooms.get("join", {}).items():
            self._keep(room, joined)
            self.ephemeral.setdefault(room, []).extend(joined.get("ephemeral", {}).get("events", []))
            self.left.discard(room)
            self.invites.pop(room, None)
        for room, left in rooms.get("leave", {}).items():
            self._keep(room, left)
            self.left.add(room)
            self.invites.pop(room, None)
            self.knocks.pop(room, None)
        for room, invite in rooms.get("invite", {}).items():
            self.invites[room] = invite["invite_state"]["events"]
            self.left.discard(room)
        for room, knock in rooms.get("knock", {}).items():
            self.knocks[room] = knock["knock_state"]["events"]
        self.to_device += answer.get("to_device", {}).get("events", [])
        self.presences += answer.get("presence", {}).get("events", [])
        self.devices_changed |= set(answer.get("device_lists", {}).get("changed", []))
        return answer

    def _keep(self, room, told):
        kept = self.timeline.setdefault(room, {})
        for event in told.get("timeline", {}).get("events", []):
            kept[event["event_id"]] = event
        state = self.state_seen.setdefault(room, {})
        for event in told.get("state", {}).get("events", []) + told.get("timeline", {}).get("events", []):
            if "state_key" in event:
                state[event["type"], event["state_key"]] = event

    def until(self, what, condition, seen=lambda: ""):
        """Syncs until something holds."""

        def look():
            self.sync()
            return condition()

        return wait_for(f"{self.user_id} sees {what}", look, seen, every=0)

    def accept_invite(self, room, *via):
        """Waits for an invite, and joins."""
        self.until(f"an invite to {room}", lambda: room in self.invites, lambda: list(self.invites))
        return self.join(room, *via)


def register_admin(server, name):
    """The access token of a new administrator, by the shared secret."""
    http_ = Http(server)
    path = "/_synapse/admin/v1/register"
    nonce = json.loads(http_.request("GET", path)[2])["nonce"]
    mac = hmac.new(SHARED_SECRET.encode(), digestmod=hashlib.sha1)
    mac.update(b"\0".join([nonce.encode(), name.encode(), PASSWORD.encode(), b"admin"]))
    body = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": True, "mac": mac.hexdigest()}
    status, _, answer = http_.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    if status != 200:
        raise Refused("POST", path, status, answer)
    return json.loads(answer)["access_token"]
