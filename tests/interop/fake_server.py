"""A homeserver in so far as others need it to take events from it: it publishes its key, joins rooms, makes and signs
events of room version 11, and sends them in transactions. What it is asked otherwise it does not know."""

import base64
import hashlib
import http.client
import http.server
import itertools
import json
import ssl
import threading
import time
from urllib.parse import quote

from nacl.signing import SigningKey

from processes import LIMIT_SECONDS, free_port

KEY_ID = "ed25519:test"
# How many events a transaction may have (server-server API, "Transactions").
PDUS_MAX = 50
KEPT = {
    "type", "room_id", "sender", "state_key", "content", "hashes", "signatures", "depth", "prev_events", "auth_events",
    "origin_server_ts",
}  # fmt: skip


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def unpadded(data, urlsafe=False):
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return encode(data).decode().rstrip("=")


# What of the content redaction leaves (room version 11); of a create event everything.
KEPT_CONTENT = {
    "m.room.member": ("membership", "join_authorised_via_users_server"),
    "m.room.join_rules": ("join_rule", "allow"),
    "m.room.history_visibility": ("history_visibility",),
    "m.room.power_levels": (
        "ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default",
    ),
}  # fmt: skip


def redacted(event):
    """What of an event its signature and id are of."""
    kept = {key: value for key, value in event.items() if key in KEPT}
    if event["type"] != "m.room.create":
        fields = KEPT_CONTENT.get(event["type"], ())
        kept["content"] = {key: value for key, value in event["content"].items() if key in fields}
    return kept


def event_id(event):
    kept = {key: value for key, value in redacted(event).items() if key != "signatures"}
    return "$" + unpadded(hashlib.sha256(canonical(kept)).digest(), urlsafe=True)


class FakeServer:
    def __init__(self, authority):
        self.port = free_port()
        self.name = f"localhost:{self.port}"
        self.key = SigningKey.generate()
        self.authority, self.transactions = authority, itertools.count(1)
        self.connections = {}
        self._serve()

    def signed(self, value):
        unsigned = {key: part for key, part in value.items() if key not in ("signatures", "unsigned")}
        signature = unpadded(self.key.sign(canonical(unsigned)).signature)
        signatures = value.get("signatures", {}) | {self.name: {KEY_ID: signature}}
        return value | {"signatures": signatures}

    def _serve(self):
        valid_until = int(time.time() + 86400) * 1000
        verify = {KEY_ID: {"key": unpadded(bytes(self.key.verify_key))}}
        document = {"server_name": self.name, "valid_until_ts": valid_until, "verify_keys": verify, "old_verify_keys": {}}
        document = json.dumps(self.signed(document)).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                known = self.path.startswith("/_matrix/key/v2/server")
                self.answer(*((200, document) if known else (404, b'{"errcode":"M_UNRECOGNIZED","error":"no"}')))

            def do_PUT(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                taken = self.path.startswith("/_matrix/federation/v1/send/")
                self.answer(*((200, b'{"pdus":{}}') if taken else (404, b'{"errcode":"M_UNRECOGNIZED","error":"no"}')))

            do_POST = do_PUT

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        certificate, key = self.authority.certificate(f"fake-{self.port}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def ask(self, target, method, path, body=None):
        """A signed request to a server that runs here."""
        request = {"method": method, "uri": path, "origin": self.name, "destination": target.name}
        if body is not None:
            request["content"] = body
        signature = self.signed(request)["signatures"][self.name][KEY_ID]
        says = f'X-Matrix origin="{self.name}",destination="{target.name}",key="{KEY_ID}",sig="{signature}"'
        headers = {"Authorization": says, "Content-Type": "application/json"}
        for attempt in (1, 2):
            # A kept connection may have been closed meanwhile.
            connection = self.connections.get(target.name) or self._connect(target)
            try:
                connection.request(method, path, None if body is None else canonical(body), headers)
                answer = connection.getresponse()
                data = answer.read()
                break
            except (OSError, http.client.HTTPException):
                del self.connections[target.name]
                if attempt == 2:
                    raise
        assert answer.status == 200, f"{method} {path}: {answer.status} {data[:500]!r}"
        return json.loads(data)

    def _connect(self, target):
        context = ssl.create_default_context(cafile=str(self.authority.file))
        made = http.client.HTTPSConnection("localhost", target.tls_port, timeout=LIMIT_SECONDS, context=context)
        self.connections[target.name] = made
        return made

    def finished(self, event):
        """An event with its hash and signature; and its id."""
        bare = {key: value for key, value in event.items() if key not in ("signatures", "hashes", "unsigned", "event_id")}
        bare["hashes"] = {"sha256": unpadded(hashlib.sha256(canonical(bare)).digest())}
        signatures = self.signed(redacted(bare))["signatures"]
        return bare | {"signatures": signatures}, event_id(bare)

    def join(self, target, room, name="sender"):
        """Joins a room of the target; what the next event builds on."""
        user = f"@{name}:{self.name}"
        path = f"/_matrix/federation/v1/make_join/{quote(room)}/{quote(user)}?ver=11"
        template = self.ask(target, "GET", path)["event"]
        join, join_id = self.finished(template | {"origin_server_ts": int(time.time() * 1000)})
        answer = self.ask(target, "PUT", f"/_matrix/federation/v2/send_join/{quote(room)}/{quote(join_id)}", join)
        state = {(event["type"], event["state_key"]): event_id(event) for event in answer["state"]}
        return Membership(self, room, user, state, join_id, join["depth"])

    def send(self, target, pdus):
        """One transaction."""
        assert len(pdus) <= PDUS_MAX
        number = f"{int(time.time() * 1000)}-{next(self.transactions)}"
        body = {"origin": self.name, "origin_server_ts": int(time.time() * 1000), "pdus": pdus}
        answer = self.ask(target, "PUT", f"/_matrix/federation/v1/send/{number}", body)
        errors = {key: found for key, found in answer.get("pdus", {}).items() if found.get("error")}
        assert not errors, errors


class Membership:
    """The place in a room from which events are made, one after the other."""

    def __init__(self, server, room, user, state, join, depth):
        self.server, self.room, self.user = server, room, user
        self.state, self.join, self.last, self.depth = state, join, join, depth

    def _next(self, kind, content, auth, **more):
        self.depth += 1
        bare = {
            "type": kind,
            "room_id": self.room,
            "sender": self.user,
            "content": content,
            "depth": self.depth,
            "prev_events": [self.last],
            "auth_events": auth,
            "origin_server_ts": int(time.time() * 1000),
        }
        event, self.last = self.server.finished(bare | more)
        return event

    def message(self, text):
        auth = [self.state["m.room.create", ""], self.state["m.room.power_levels", ""], self.join]
        return self._next("m.room.message", {"msgtype": "m.text", "body": text}, auth)

    def join_of(self, name):
        """The join of another user of this server."""
        user = f"@{name}:{self.server.name}"
        kinds = ("m.room.create", "m.room.power_levels", "m.room.join_rules")
        auth = [self.state[kind, ""] for kind in kinds]
        content = {"membership": "join", "displayname": name}
        return self._next("m.room.member", content, auth, sender=user, state_key=user)
