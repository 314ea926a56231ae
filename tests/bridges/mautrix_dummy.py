"""A bridge on mautrix-go's bridgev2 to a network that this test plays: end-to-bridge encryption by transactions alone
(MSC2409, MSC4203, MSC3202; a device without a login, MSC4190), and double puppeting by a registration of its own.
100 messages each way, encrypted, through a `kill -9` of conduit in both directions."""

import json
import re
import sys
import threading

import world
from encrypted import EncryptedUser

MESSAGES = 100
BOT, BOB = "@dummybot:localhost", "@dummy_bob:localhost"
# What mautrix asks for in its documentation of double puppeting.
PUPPETS = """id: doublepuppet
url: null
as_token: as-token-of-puppets
hs_token: nobody-is-asked
sender_localpart: nobody-of-puppets
rate_limited: false
namespaces:
  users: [{regex: '@.*:localhost', exclusive: false}]
"""


class Bridge:
    """The bridge, with what was said on Matrix as it told its network."""

    def __init__(self, program, conduit, folder):
        port = world.free_port()
        config, registration = folder / "mautrix.yaml", folder / "mautrix-registration.yaml"
        settings = {
            "bridge": {"permissions": {"localhost": "user"}},
            "database": {"type": "sqlite3-fk-wal", "uri": f"file:{folder}/mautrix.db?_txlock=immediate"},
            "homeserver": {"address": conduit.url, "domain": "localhost", "software": "standard"},
            "appservice": {"address": f"http://127.0.0.1:{port}", "hostname": "127.0.0.1", "port": port},
            "double_puppet": {"servers": {}, "secrets": {"localhost": "as_token:as-token-of-puppets"}},
            "encryption": {"allow": True, "default": True, "require": True, "appservice": True, "msc4190": True},
            "logging": {"min_level": "debug", "writers": [{"type": "stderr", "format": "json"}]},
        }
        config.write_text(json.dumps(settings))  # which is YAML
        world.subprocess.run([program, "-g", "-c", config, "-r", registration], check=True, stdout=world.subprocess.DEVNULL)
        conduit.command("appservice", "register", registration)
        (folder / "doublepuppet.yaml").write_text(PUPPETS)
        conduit.command("appservice", "register", folder / "doublepuppet.yaml")
        token = re.search(r"^as_token: (\S+)", registration.read_text(), re.MULTILINE).group(1)
        for token in (token, "as-token-of-puppets"):
            user = world.MatrixUser(conduit, token=token)
            world.wait_for("the registration takes effect", user.is_known)
        pipes = {"stdin": world.subprocess.PIPE, "stdout": world.subprocess.PIPE}
        self.process = world.Process("mautrix", [program, "-c", config, "-r", registration], folder, **pipes)
        self.said = []
        threading.Thread(target=self.read, daemon=True).start()
        self.process.wait_log("Bridge started")

    def read(self):
        for line in self.process.child.stdout:
            if line.startswith(b"{"):
                self.said.append(json.loads(line))

    def say(self, number, sender, text):
        line = {"id": f"{sender}-{number}", "from": sender, "text": text}
        self.process.child.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.child.stdin.flush()

    def kill(self):
        self.process.kill()


def run(conduit_program, program, folder, running):
    conduit = world.Conduit(conduit_program, folder)
    running.append(conduit)
    alice = EncryptedUser(conduit, "alice", folder)
    bridge = Bridge(program, conduit, folder)
    running.append(bridge)

    control = alice.create_encrypted_room([BOT])
    alice.wait_member(control, BOT)
    alice.say(control, "login")
    alice.wait_for("logged in", lambda: any("Logged in" in text for text in alice.said(BOT)))

    bridge.say("first", "bob", "hello")
    alice.wait_for("hello", lambda: alice.said(BOB) == ["hello"])
    portal = next(event.source["room_id"] for event in alice.messages if event.sender == BOB)
    assert alice.client.rooms[portal].encrypted

    # Every fourth is said by alice herself on her other network: her puppet is her own account here.
    to_matrix = {"bob": [], "me": []}
    for number in range(MESSAGES):
        sender = "me" if number % 4 == 3 else "bob"
        to_matrix[sender].append(f"to matrix {number}")
        bridge.say(number, sender, to_matrix[sender][-1])
        if number == MESSAGES // 2:
            conduit.crash()
    alice.wait_for("all of bob's", lambda: len(alice.said(BOB)) >= 1 + len(to_matrix["bob"]))
    own = lambda: [text for text in alice.said(alice.user_id) if text.startswith("to matrix")]
    alice.wait_for("all of her own", lambda: len(own()) >= len(to_matrix["me"]))
    assert alice.said(BOB) == ["hello", *to_matrix["bob"]], f"once each, in order: {alice.said(BOB)}"
    assert own() == to_matrix["me"], f"once each, in order, by her own account: {own()}"

    to_network = [f"to network {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_network):
        alice.say(portal, text)
        if number == MESSAGES // 2:
            conduit.crash()
    alice.wait_for("all on the network", lambda: len(bridge.said) >= MESSAGES)
    said = [line["text"] for line in bridge.said]
    assert said == to_network, f"once each, in order: {said}"
    assert all(line["from"] == alice.user_id for line in bridge.said)
    alice.stop()
    conduit.kill()
    conduit.command("check")
    return f"{MESSAGES} encrypted messages each way through two crashes, with double puppeting"


if __name__ == "__main__":
    world.main("mautrix_dummy", run, *sys.argv[1:])
