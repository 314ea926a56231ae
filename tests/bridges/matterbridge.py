"""matterbridge, a bot in a Matrix room and an IRC channel, each of which sees what is said in the other: 100 messages
each way. conduit is killed while messages go to IRC; towards Matrix between two messages, since matterbridge gives up
what it can't send.

It comes from no registry: `tests/bridges/run matterbridge` takes the one in PATH or `$MATTERBRIDGE`."""

import sys

import world

MESSAGES = 100
CHANNEL = "#tea"
CONFIG = """
[irc.test]
Server = "127.0.0.1:{irc_port}"
Nick = "matterbot"
UseTLS = false
MessageDelay = 1
MessageQueue = 200
RemoteNickFormat = "{{NICK}}: "

[matrix.test]
Server = "{url}"
Login = "matterbot"
Password = "{password}"
NoHomeServerSuffix = true
RemoteNickFormat = "{{NICK}}: "

[[gateway]]
name = "tea"
enable = true
inout = [ {{ account = "irc.test", channel = "{channel}" }}, {{ account = "matrix.test", channel = "{alias}" }} ]
"""


def run(conduit_program, program, folder, running):
    irc = world.IrcServer(folder)
    running.append(irc.process)
    bob = world.IrcUser(irc.port, "bob")
    bob.send(f"JOIN {CHANNEL}")
    bob.wait("bob is in", lambda line: " 366 " in line)
    conduit = world.Conduit(conduit_program, folder)
    running.append(conduit)
    alice, bot = world.MatrixUser(conduit, "alice"), world.MatrixUser(conduit, "matterbot")
    create = {"preset": "public_chat", "room_alias_name": "tea"}
    room = alice.ask("POST", "/_matrix/client/v3/createRoom", create)["room_id"]
    config = folder / "matterbridge.toml"
    names = {"channel": CHANNEL, "alias": "#tea:localhost", "password": world.PASSWORD}
    config.write_text(CONFIG.format(irc_port=irc.port, url=conduit.url, **names))
    running.append(world.Process("matterbridge", [program, "-conf", config], folder))
    bob.wait("the bot is on IRC", lambda line: line.startswith(":matterbot!") and " JOIN " in line)
    alice.wait("the bot is in the room", lambda event: event.get("state_key") == bot.user_id)

    # Its first sync is the past to it.
    for number in range(1000):
        alice.say(room, f"are you there? {number}")
        if any("are you there?" in text for text in bob.said(CHANNEL)):
            break
        world.time.sleep(0.2)
    to_irc = [f"to irc {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_irc):
        alice.say(room, text)
        if number == MESSAGES // 2:
            conduit.crash()
        if number % 10 == 9:  # it fills no gap in what it synced
            bob.wait(text, lambda line, text=text: line.endswith(f"alice: {text}"))
    said = [text for text in bob.said(CHANNEL) if "to irc" in text]
    assert said == [f"alice: {text}" for text in to_irc], f"once each, in order: {said}"

    to_matrix = [f"to matrix {number}" for number in range(MESSAGES)]
    for number, text in enumerate(to_matrix):
        bob.send(f"PRIVMSG {CHANNEL} :{text}")
        # It sends quick ones side by side, in any order.
        alice.wait(text, lambda event, text=text: event["content"].get("body") == f"bob: {text}")
        if number == MESSAGES // 2:
            conduit.crash()
    said = [text for text in alice.said(room) if "to matrix" in text]
    assert said == [f"bob: {text}" for text in to_matrix], f"once each, in order: {said}"
    conduit.kill()
    conduit.command("check")
    return f"{MESSAGES} messages each way through two crashes"


if __name__ == "__main__":
    world.main("matterbridge", run, *sys.argv[1:])
