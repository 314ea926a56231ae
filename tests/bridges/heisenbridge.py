"""heisenbridge between conduit and a real IRC server: it is registered while the server runs, joins a channel,
carries 100 messages each way, through a `kill -9` of conduit in both directions, and a change of nick, a kick and a
quit arrive.

heisenbridge gives a request up when the server can't be reached, so what is said on IRC meanwhile is lost. Its library
can try again, with the same transaction id, and does so in its other users; it is told to here."""

import sys

import world

MESSAGES = 100
CHANNEL = "#tea"
START = """
import functools, sys
from heisenbridge.__main__ import main
from mautrix.appservice import AppService

AppService.__init__ = functools.partialmethod(AppService.__init__, default_http_retry_count=10)
sys.exit(main())
"""


def run(conduit_program, python, folder, running):
    irc = world.IrcServer(folder)
    running.append(irc.process)
    conduit = world.Conduit(conduit_program, folder)
    running.append(conduit)
    alice = world.MatrixUser(conduit, "alice")

    registration, port = folder / "heisenbridge.yaml", world.free_port()
    bridge = [python, "-c", START, "--config", registration, "--listen-port", str(port)]
    world.subprocess.run([*bridge, "--generate"], check=True, stdout=world.subprocess.DEVNULL)
    conduit.command("appservice", "register", registration)
    running.append(world.Process("heisenbridge", [*bridge, "-v", "-o", alice.user_id, conduit.url], folder))
    world.wait_for("heisenbridge listens", lambda: world.answers("127.0.0.1", port))

    bot = "@heisenbridge:localhost"
    control = alice.accept_invite("the control room", lambda state: any(e["sender"] == bot for e in state))
    for command in ("ADDNETWORK test", f"ADDSERVER test 127.0.0.1 {irc.port}", "OPEN test"):
        alice.say(control, command)
    network = alice.accept_invite("the network's room", lambda state: any(e["sender"] == bot for e in state))
    for command in ("NICK alice", "CONNECT"):
        alice.say(network, command)
    bob = world.IrcUser(irc.port, "bob")

    def is_on_irc():
        alice.sync()
        bob.send("ISON alice")
        return any(" 303 " in line and line.endswith(":alice") for line in bob.lines)

    world.wait_for("alice is on IRC", is_on_irc)
    bob.send(f"JOIN {CHANNEL}")
    alice.say(network, f"JOIN {CHANNEL}")
    room = alice.accept_invite("the channel's room", lambda state: any(CHANNEL in str(e["content"]) for e in state))
    bob.wait("alice joins", lambda line: line.startswith(":alice!") and " JOIN " in line)

    to_irc = [f"to irc {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_irc):
        alice.say(room, text)
        if number == MESSAGES // 2:
            conduit.crash()
    bob.wait("the last message", lambda line: line.endswith(to_irc[-1]))
    assert bob.said(CHANNEL) == to_irc, f"once each, in order: {bob.said(CHANNEL)}"

    to_matrix = [f"to matrix {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_matrix):
        bob.send(f"PRIVMSG {CHANNEL} :{text}")
        if number % 10 == 9:
            alice.wait(text, lambda event, text=text: text in event["content"].get("body", "").split("\n"))
        if number == MESSAGES // 2:
            conduit.crash()
    said = [text for text in alice.said(room) if text.startswith("to matrix")]
    assert said == to_matrix, f"once each, in order: {said}"

    bob.send("NICK robert")
    alice.wait("robert", lambda e: e["type"] == "m.room.member" and "robert" in e.get("state_key", ""))
    carol = world.IrcUser(irc.port, "carol")
    carol.send(f"JOIN {CHANNEL}")
    is_carol = lambda event: event["type"] == "m.room.member" and "carol" in event.get("state_key", "")
    alice.wait("carol joins", lambda event: is_carol(event) and event["content"]["membership"] == "join")
    carol.send("QUIT :bye")
    alice.wait("carol quits", lambda event: is_carol(event) and event["content"]["membership"] == "leave")
    bob.send(f"KICK {CHANNEL} alice :enough")
    alice.wait("the kick", lambda event: "enough" in str(event["content"]))
    conduit.kill()
    conduit.command("check")
    return f"{MESSAGES} messages each way through two crashes"


if __name__ == "__main__":
    world.main("heisenbridge", run, *sys.argv[1:])
