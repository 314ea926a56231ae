"""What users of two servers do with each other. Each function is one scenario between `home`, whose user makes the
room, and `away`; it is run in both directions. A scenario notes its rooms in `world.rooms`, so that in the end all
rooms are compared."""

import threading

from agreement import wait_for_same_history, wait_for_same_state
from processes import wait_for

VERSIONS = ("6", "9", "10", "11", "12")
MESSAGES_EACH_WAY = 500


def power_for(version, home, others):
    """Power levels of users at creation. From version 12 on creators stand above and may not be listed."""
    return {"users": others if version == "12" else {home.user_id: 100} | others}


def membership(world, home, away, version):
    """Invite and join, a public join by alias, kick, ban, unban, leaving, invites refused and taken back, redactions
    and power changes."""
    owner, friend, guest = home.users[0], away.users[0], away.users[1]
    alias = f"{home.kind}-{version}"
    powers = power_for(version, owner, {friend.user_id: 50})
    room = owner.create_room(
        version, preset="public_chat", room_alias_name=alias, name="one", power_level_content_override=powers
    )
    world.note(room, owner, friend)

    # By invite and by alias.
    owner.membership("invite", room, friend.user_id)
    assert friend.accept_invite(room) == room
    assert guest.join(f"#{alias}:{home.server.name}") == room
    wait_for("both have arrived", lambda: owner.member(room, guest.user_id) == "join")

    # Messages and redactions each way, by sender and by moderator.
    told = [owner.say(room, "from home"), friend.say(room, "from away"), guest.say(room, "to be redacted")]
    for event in told:
        wait_for("a message at both", lambda: owner.event(room, event) and friend.event(room, event))
    friend.redact(room, told[2])
    owner.redact(room, told[0])
    for event in (told[2], told[0]):
        for user in (owner, friend):
            wait_for(
                f"{event} redacted at {user.server.kind}", lambda: not user.event(room, event)["content"].get("body")
            )

    # State by either, and what the other's power does not allow.
    friend.set_state(room, "m.room.topic", {"topic": "set from away"})
    wait_for("the topic at home", lambda: owner.state_content(room, "m.room.topic") == {"topic": "set from away"})
    guest.refused("a name by somebody without power", lambda: guest.set_state(room, "m.room.name", {"name": "no"}), "M_FORBIDDEN")
    owner.powers(room, users={guest.user_id: 50})
    wait_for(
        "the guest's power", lambda: guest.state_content(room, "m.room.power_levels")["users"].get(guest.user_id) == 50
    )
    guest.set_state(room, "m.room.name", {"name": "two"})
    wait_for("the name at home", lambda: owner.state_content(room, "m.room.name") == {"name": "two"})

    # Kick, return, ban, no return, unban, return, leave.
    owner.membership("kick", room, guest.user_id, "out")
    wait_for("the kick away", lambda: friend.member(room, guest.user_id) == "leave")
    guest.join(room, home.server.name)
    wait_for("the return at home", lambda: owner.member(room, guest.user_id) == "join")
    owner.membership("ban", room, guest.user_id)
    wait_for("the ban away", lambda: friend.member(room, guest.user_id) == "ban")
    guest.refused("joining while banned", lambda: guest.join(room, home.server.name), "M_FORBIDDEN", "M_BAD_STATE")
    owner.membership("unban", room, guest.user_id)
    wait_for("the unban away", lambda: friend.member(room, guest.user_id) == "leave")
    guest.join(room, home.server.name)
    wait_for("the second return at home", lambda: owner.member(room, guest.user_id) == "join")
    guest.leave(room)
    wait_for("the leaving at home", lambda: owner.member(room, guest.user_id) == "leave")
    wait_for_same_state(room, [owner, friend])

    # Invites from either end to somebody on the other: refused, and taken back.
    other, host = away.users[2], home.users[2]
    owner.membership("invite", room, other.user_id)
    other.until("the invite", lambda: room in other.invites)
    other.leave(room)
    wait_for("the refusal at home", lambda: owner.member(room, other.user_id) == "leave")
    friend.membership("invite", room, host.user_id)
    host.until("the invite from away", lambda: room in host.invites)
    friend.membership("kick", room, host.user_id)
    host.until("the invite taken back", lambda: room not in host.invites)
    wait_for_same_state(room, [owner, friend])


def rescinded_invite(world, home, away):
    """An invite to a server that has nobody in the room, refused; and one that is taken back."""
    owner, friend = home.users[0], away.users[0]
    room = owner.create_room("11", preset="private_chat", name="private")
    owner.membership("invite", room, friend.user_id)
    friend.until("the invite", lambda: room in friend.invites)
    friend.leave(room)
    wait_for("the refusal at home", lambda: owner.member(room, friend.user_id) == "leave")
    owner.membership("invite", room, friend.user_id)
    friend.until("the second invite", lambda: room in friend.invites)
    owner.membership("kick", room, friend.user_id)
    friend.until("the invite taken back", lambda: room not in friend.invites)


def knock(world, home, away, version):
    """A knock that is let in, one turned away, one withdrawn."""
    owner, (friend, guest, other) = home.users[0], away.users[:3]
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room = owner.create_room(version, preset="private_chat", name="a door", initial_state=[rule])
    friend.refused("joining without being let in", lambda: friend.join(room, home.server.name), "M_FORBIDDEN")
    for user in (friend, guest, other):
        assert user.knock(room, home.server.name, reason="hello?") == room
        wait_for("the knock at home", lambda: owner.member(room, user.user_id) == "knock")
        user.until("one's own knock", lambda: room in user.knocks)
        kinds = {event["type"] for event in user.knocks[room]}
        assert {"m.room.join_rules", "m.room.name"} <= kinds, f"the knock shows the room: {kinds}"
    guest.leave(room)
    if away.kind != "synapse":  # Synapse withdraws a knock for itself only (`remote_rescind_knock`).
        wait_for("the withdrawal at home", lambda: owner.member(room, guest.user_id) == "leave")
    # That a knock is refused, Synapse neither tells the other server nor takes from it.
    owner.membership("kick", room, other.user_id)
    wait_for("the refusal at home", lambda: owner.member(room, other.user_id) == "leave")
    owner.membership("invite", room, friend.user_id)
    friend.accept_invite(room)
    world.note(room, owner, friend)
    sent = friend.say(room, "thanks")
    wait_for("a word of the one let in", lambda: owner.event(room, sent))
    wait_for_same_state(room, [owner, friend])


def restricted(world, home, away, version):
    """A room for the members of a space on the other server: members get in, others do not."""
    owner, (friend, guest) = home.users[0], away.users[:2]
    space = owner.create_room(version, preset="public_chat", name="space", creation_content={"type": "m.space"})
    content = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}
    rule = {"type": "m.room.join_rules", "state_key": "", "content": content}
    room = owner.create_room(version, preset="private_chat", name="inside", initial_state=[rule])
    owner.set_state(space, "m.space.child", {"via": [home.server.name]}, room)
    world.note(space, owner, friend)
    world.note(room, owner, friend)
    guest.refused("joining without the space", lambda: guest.join(room, home.server.name), "M_FORBIDDEN")
    friend.join(space, home.server.name)
    friend.join(room, home.server.name)
    joined = friend.state(room)["m.room.member", friend.user_id]
    by = joined["content"].get("join_authorised_via_users_server", "")
    assert by.endswith(f":{home.server.name}"), f"the join names who vouches for it: {joined}"
    # Now away is in the room: the join of another of its users is either signed at home or by nobody.
    guest.refused("joining without the space, again", lambda: guest.join(room, home.server.name), "M_FORBIDDEN")
    guest.join(space, home.server.name)
    guest.join(room, home.server.name)
    wait_for("the second join at home", lambda: owner.member(room, guest.user_id) == "join")
    sent = friend.say(room, "made it")
    wait_for("a word of the one who got in", lambda: owner.event(room, sent))
    children = {entry["room_id"] for entry in friend.get(f"/rooms/{space}/hierarchy", prefix="/_matrix/client/v1")["rooms"]}
    assert {space, room} <= children, f"the space as seen from away: {children}"
    for each in (space, room):
        wait_for_same_state(each, [owner, friend])


def crowd(world, home, away):
    """500 messages each way from three users a side at once, with changes of state between: the room forks all the
    time. All arrive at both."""
    owner = home.users[0]
    everybody = home.users[:3] + away.users[:3]
    powers = {"users": {user.user_id: 50 for user in everybody[1:]} | {owner.user_id: 100}}
    room = owner.create_room("10", preset="public_chat", power_level_content_override=powers)
    world.note(room, owner, away.users[0])
    for user in everybody[1:]:
        user.join(room, home.server.name)
    sent, failed = [], []

    def talk(user, count):
        try:
            for number in range(count):
                sent.append(user.say(room, f"{user.user_id} {number}"))
                if number % 25 == 7:
                    user.set_state(room, "m.room.topic", {"topic": f"{user.user_id} {number}"})
                if number % 40 == 11:
                    user.set_state(room, "org.example.mine", {"number": number}, user.user_id)
                if number % 50 == 23:
                    sent.append(user.redact(room, sent[-1]))
        except BaseException as error:
            failed.append(f"{user.user_id}: {error}")
            raise

    counts = [MESSAGES_EACH_WAY - 2 * (MESSAGES_EACH_WAY // 3), MESSAGES_EACH_WAY // 3, MESSAGES_EACH_WAY // 3] * 2
    threads = [threading.Thread(target=talk, args=pair) for pair in zip(everybody, counts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    # A last word from each side, so that each learns of whatever it missed.
    sent += [owner.say(room, "last of home"), away.users[0].say(room, "last of away")]
    return f"{wait_for_same_history(room, [owner, away.users[0]], sent)} events on both"


def settle(room, *users):
    """Waits for one state, after a word of each server. What one of them did not allow when it came (soft failure)
    takes part in the room there only once an event of another builds on it."""
    for user in users:
        said = user.say(room, "settle")
        wait_for("a word of each at all", lambda: all(other.event(room, said) for other in users))
    wait_for_same_state(room, users)


def conflicts(world, home, away):
    """Changes that contradict each other, at the same time at both servers: each bans, demotes and renames."""
    owner, first, second = home.users[0], home.users[1], away.users[0]
    powers = {"users": {owner.user_id: 100, first.user_id: 75, second.user_id: 75}}
    room = owner.create_room("11", preset="public_chat", power_level_content_override=powers)
    world.note(room, owner, second)
    targets = home.users[2], away.users[2]
    for user in (first, second, *targets):
        user.join(room, home.server.name)
    wait_for("all are in", lambda: all(owner.member(room, user.user_id) == "join" for user in (second, *targets)))

    def at_once(*deeds):
        def attempt(deed):
            try:
                deed()
            except Exception as error:  # The other side's deed may have come first.
                if getattr(error, "errcode", None) != "M_FORBIDDEN":
                    raise

        threads = [threading.Thread(target=attempt, args=(deed,)) for deed in deeds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for number in range(6):
        at_once(
            lambda: first.set_state(room, "m.room.name", {"name": f"home {number}"}),
            lambda: second.set_state(room, "m.room.name", {"name": f"away {number}"}),
        )
        at_once(
            lambda: first.powers(room, events={"m.room.topic": 50 + number}),
            lambda: second.powers(room, events={"m.room.topic": 60 + number}),
        )
        at_once(
            lambda: first.membership("ban", room, targets[1].user_id),
            lambda: targets[1].set_state(room, "m.room.member", {"membership": "join", "displayname": f"{number}"}, targets[1].user_id),
            lambda: second.membership("kick", room, targets[0].user_id),
            lambda: targets[0].set_state(room, "m.room.member", {"membership": "join", "displayname": f"{number}"}, targets[0].user_id),
        )
        settle(room, owner, second)
        for target in targets:
            if owner.member(room, target.user_id) == "ban":
                owner.membership("unban", room, target.user_id)
                wait_for("the unban away", lambda: second.member(room, target.user_id) == "leave")
            if target.member(room, target.user_id) != "join":
                target.join(room, home.server.name, away.server.name)
            wait_for("back in", lambda: owner.member(room, target.user_id) == second.member(room, target.user_id) == "join")
    settle(room, owner, second)


def upgrade(world, home, away, old="9", new="11"):
    """A room is upgraded; those from away follow by the tombstone."""
    owner, friend = home.users[0], away.users[0]
    room = owner.create_room(old, preset="public_chat", name="old")
    friend.join(room, home.server.name)
    successor = owner.post(owner.room(room, "/upgrade"), {"new_version": new})["replacement_room"]
    wait_for("the tombstone away", lambda: friend.state_content(room, "m.room.tombstone"))
    told = friend.state_content(room, "m.room.tombstone")["replacement_room"]
    assert told == successor, f"the tombstone tells of {told}, not of {successor}"
    assert friend.join(successor, home.server.name) == successor
    create = friend.state_content(successor, "m.room.create")
    assert create["room_version"] == new and create["predecessor"]["room_id"] == room, create
    assert friend.state_content(successor, "m.room.name") == {"name": "old"}
    world.note(room, owner, friend)
    world.note(successor, owner, friend)
    for each in (room, successor):
        wait_for_same_state(each, [owner, friend])
