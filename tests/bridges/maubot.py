"""maubot in an encrypted room: an echo bot that answers each of 100 messages once, through a `kill -9` of conduit; by
sync with a session of its own, and as an application service that is sent its messages to devices (MSC4203), its
counts of one-time keys and whose devices changed (MSC3202)."""

import sys
from pathlib import Path
from urllib.parse import quote

import world
from encrypted import EncryptedUser

MESSAGES = 100
PLUGIN = Path(__file__).parent / "maubot_echo/maubot.yaml"
REGISTRATION = """id: maubot
url: http://127.0.0.1:{port}
as_token: as-token-of-maubot
hs_token: hs-token-of-maubot
sender_localpart: echo2
rate_limited: false
receive_ephemeral: true
org.matrix.msc3202: true
io.element.msc4190: true
namespaces:
  users: [{{exclusive: true, regex: '@echo2:localhost'}}]
"""


def by_sync(conduit, folder):
    bot = world.MatrixUser(conduit, "echo1")
    return bot.user_id, {"access_token": bot.token, "device_id": bot.device_id}, {"sync": True}


def as_application_service(conduit, folder):
    port = world.free_port()
    registration = folder / "maubot.yaml"
    registration.write_text(REGISTRATION.format(port=port))
    conduit.command("appservice", "register", registration)
    user_id, token = "@echo2:localhost", "as-token-of-maubot"
    bot = world.MatrixUser(conduit, token=token)
    world.wait_for("the registration takes effect", lambda: bot.is_known())
    bot.ask("PUT", f"/_matrix/client/v3/devices/MAUBOT?user_id={quote(user_id)}", {"display_name": "maubot"})
    user = {"sync": False, "appservice": True, "hs_token": "hs-token-of-maubot"}
    return user_id, {"access_token": token, "device_id": "MAUBOT"}, user | {"port": port}


def run(conduit_program, python, folder, running):
    conduit = world.Conduit(conduit_program, folder)
    running.append(conduit)
    alice = EncryptedUser(conduit, "alice", folder)
    for kind in (by_sync, as_application_service):
        user_id, credentials, user = kind(conduit, folder)
        port = user.pop("port", 0)
        config = {
            "user": user
            | {"credentials": credentials | {"id": user_id, "homeserver": conduit.url}}
            | {"autojoin": True, "displayname": "Echo", "avatar_url": "disable"},
            "server": {"hostname": "127.0.0.1", "port": port},
            "database": f"sqlite:{folder}/{kind.__name__}.db",
        }
        file = folder / f"{kind.__name__}.yaml"
        file.write_text(world.json.dumps(config))  # which is YAML
        bot = world.Process(kind.__name__, [python, "-m", "maubot.standalone", "-c", file, "-m", PLUGIN], folder)
        running.append(bot)
        bot.wait_log("Startup completed")
        room = alice.create_encrypted_room([user_id])
        alice.wait_member(room, user_id)
        said = []
        for number in range(MESSAGES):
            said.append(f"{kind.__name__} {number}")
            alice.say(room, said[-1])
            if number == MESSAGES // 2:
                conduit.crash()
            # Neither client fills a gap in what it synced: it is not to fall behind by more than its limit.
            if number % 10 == 9:
                echoes = sorted(f"echo: {text}" for text in said)
                alice.wait_for(f"echo {number}", lambda: sorted(alice.said(user_id)) == echoes)
        bot.kill()
    alice.stop()
    conduit.kill()
    conduit.command("check")
    return f"{MESSAGES} encrypted messages and their echoes, twice, each through a crash"


if __name__ == "__main__":
    world.main("maubot", run, sys.argv[1], sys.executable)
