"""A bridge on the npm framework matrix-appservice-bridge between conduit and a real IRC server: puppets on both
sides, 100 messages each way through a `kill -9` of conduit in both directions, topic, kick, typing, and 500 ghosts
that join one room."""

import sys
import time
from urllib.parse import quote

import world

MESSAGES = 100
GHOSTS = 500
CHANNEL = "#tea"


def run(conduit_program, node, program, folder, running):
    irc = world.IrcServer(folder)
    running.append(irc.process)
    bob = world.IrcUser(irc.port, "bob")
    bob.send(f"JOIN {CHANNEL}")  # the first, who is its operator
    bob.wait("bob is in", lambda line: " 366 " in line)
    conduit = world.Conduit(conduit_program, folder)
    running.append(conduit)
    alice = world.MatrixUser(conduit, "alice")

    registration, port = folder / "irc-puppets.yaml", world.free_port()
    world.subprocess.run([node, program, "register", registration, f"http://127.0.0.1:{port}"], check=True)
    conduit.command("appservice", "register", registration)
    command = [node, program, "run", registration, str(port), conduit.url, str(irc.port)]
    running.append(world.Process("bridge", command, folder))
    world.wait_for("the bridge listens", lambda: world.answers("127.0.0.1", port))
    bob.wait("the bridge is on IRC", lambda line: line.startswith(":puppeteer!") and " JOIN " in line)
    bob.send(f"MODE {CHANNEL} +o puppeteer")
    room = alice.ask("POST", "/_matrix/client/v3/createRoom", {"preset": "private_chat", "name": "tea"})["room_id"]
    base = f"/_matrix/client/v3/rooms/{quote(room)}"
    bot = "@puppeteer:localhost"
    alice.ask("POST", f"{base}/invite", {"user_id": bot})
    alice.wait("the bot joins", lambda event: event.get("state_key") == bot and event["content"]["membership"] == "join")
    levels = alice.ask("GET", f"{base}/state/m.room.power_levels")
    alice.ask("PUT", f"{base}/state/m.room.power_levels", levels | {"users": levels["users"] | {bot: 100}})

    to_irc = [f"to irc {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_irc):
        alice.say(room, text)
        if number == MESSAGES // 2:
            conduit.crash()
    bob.wait("the last message", lambda line: line.endswith(to_irc[-1]))
    assert bob.said(CHANNEL) == to_irc, f"once each, in order: {bob.said(CHANNEL)}"
    assert all(line.startswith(":alice!") for line in bob.lines if " PRIVMSG " in line), "by alice's puppet"

    to_matrix = [f"to matrix {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_matrix):
        bob.send(f"PRIVMSG {CHANNEL} :{text}")
        if number == MESSAGES // 2:
            conduit.crash()
    last = alice.wait("the last message", lambda event: event["content"].get("body") == to_matrix[-1])
    assert last["sender"] == "@irc_bob:localhost", "by bob's ghost"
    said = alice.said(room)
    assert said == to_matrix, f"once each, in order: {said}"

    alice.ask("PUT", f"{base}/state/m.room.topic", {"topic": "earl grey"})
    bob.wait("the topic", lambda line: " TOPIC " in line and line.endswith(":earl grey"))
    bob.send(f"TOPIC {CHANNEL} :green")
    alice.wait("the topic", lambda e: e["type"] == "m.room.topic" and e["content"].get("topic") == "green")

    alice.ask("PUT", f"{base}/typing/{quote(alice.user_id)}", {"typing": True, "timeout": 30000})
    bob.wait("alice is typing", lambda line: line.startswith(":alice!") and "\x01TYPING" in line)
    bob.send(f"NOTICE {CHANNEL} :\x01TYPING\x01")
    alice.wait_typing(room, "@irc_bob:localhost")

    started = time.monotonic()
    alice.say(room, f"!flood {GHOSTS}")
    flooded = alice.wait("the ghosts", lambda e: f"{GHOSTS} ghosts in" in e["content"].get("body", ""))
    joined = alice.ask("GET", f"{base}/joined_members")["joined"]
    ghosts = [user for user in joined if user.startswith("@irc_flood")]
    assert len(ghosts) == GHOSTS, len(ghosts)
    assert all(joined[ghost]["display_name"] == ghost for ghost in ghosts)
    flood_seconds = time.monotonic() - started

    carol = world.IrcUser(irc.port, "carol")
    carol.send(f"JOIN {CHANNEL}")
    carol.wait("carol is in", lambda line: " 366 " in line)
    bob.send(f"MODE {CHANNEL} +o carol")
    carol.wait("carol may kick", lambda line: f" MODE {CHANNEL} +o carol" in line)
    alice.ask("POST", f"{base}/kick", {"user_id": "@irc_bob:localhost", "reason": "spilled"})
    bob.wait("alice kicks bob", lambda line: " KICK " in line and " bob " in line and "spilled" in line)
    dave = world.MatrixUser(conduit, "dave")  # alice made the room: nobody can kick her out of it
    alice.ask("POST", f"{base}/invite", {"user_id": dave.user_id})
    dave.ask("POST", f"/_matrix/client/v3/join/{quote(room)}", {})
    dave.say(room, "hello")
    carol.wait("dave's puppet", lambda line: line.startswith(":dave!") and line.endswith(":hello"))
    carol.send(f"KICK {CHANNEL} dave :out")
    kicked = dave.wait_left(room)
    assert kicked["content"]["reason"] == "out", kicked
    conduit.kill()
    conduit.command("check")
    return f"{MESSAGES} messages each way through two crashes; {flooded['content']['body']} ({flood_seconds:.1f} s seen)"


if __name__ == "__main__":
    world.main("irc_puppets", run, *sys.argv[1:])
