"""What users of two servers see of each other besides rooms' events: receipts, typing, presence, devices, files,
profiles, directories; and what happens when one server is away."""

import base64
import struct
import time
import urllib.parse
import zlib

from agreement import wait_for_same_history, wait_for_same_state
from client import Refused, quote
from processes import wait_for


def shared_room(world, home, away, version="11", **more):
    owner, friend = home.users[0], away.users[0]
    room = owner.create_room(version, preset="public_chat", **more)
    friend.join(room, home.server.name)
    world.note(room, owner, friend)
    return room, owner, friend


def receipts_and_typing(world, home, away):
    """Receipts (also in a thread) and typing, each way."""
    room, owner, friend = shared_room(world, home, away)
    for one, other in ((owner, friend), (friend, owner)):
        event = one.say(room, "read this")
        other.until("the message", lambda: event in other.timeline.get(room, {}))
        other.post(other.room(room, f"/receipt/m.read/{quote(event)}"), {})

        def read():
            receipts = [e["content"] for e in one.ephemeral.get(room, []) if e["type"] == "m.receipt"]
            return any(other.user_id in content.get(event, {}).get("m.read", {}) for content in receipts)

        one.until(f"the receipt of {other.user_id}", read)

        def typing():
            told = [e["content"]["user_ids"] for e in one.ephemeral.get(room, []) if e["type"] == "m.typing"]
            return told[-1] if told else []

        path = other.room(room, f"/typing/{quote(other.user_id)}")
        other.put(path, {"typing": True, "timeout": 60_000})
        one.until(f"{other.user_id} typing", lambda: other.user_id in typing())
        other.put(path, {"typing": False})
        one.until(f"{other.user_id} no longer typing", lambda: other.user_id not in typing())


def presence(world, home, away):
    """Who is there, with a status, each way."""
    room, owner, friend = shared_room(world, home, away)
    for one, other in ((owner, friend), (friend, owner)):
        text = f"status of {other.user_id} {time.time()}"
        other.sync()
        other.put(f"/presence/{quote(other.user_id)}/status", {"presence": "online", "status_msg": text})

        def told():
            events = [e["content"] for e in one.presences if e["sender"] == other.user_id]
            return any(e.get("status_msg") == text and e["presence"] == "online" for e in events)

        one.until(f"the presence of {other.user_id}", told, lambda: one.presences[-3:])


def profiles(world, home, away):
    """Names and pictures, asked for and in a room's members."""
    room, owner, friend = shared_room(world, home, away)
    for one, other in ((owner, friend), (friend, owner)):
        name = f"Name of {other.user_id} {time.time()}"
        other.put(f"/profile/{quote(other.user_id)}/displayname", {"displayname": name})
        wait_for("the profile", lambda: one.get(f"/profile/{quote(other.user_id)}").get("displayname") == name)
        path = ("m.room.member", other.user_id)
        wait_for("the name in the room", lambda: one.state(room)[path]["content"].get("displayname") == name)


def directories(world, home, away):
    """Aliases and lists of public rooms of the other server."""
    owner, friend = home.users[0], away.users[0]
    alias = f"listed-{home.kind}"
    room = owner.create_room("11", preset="public_chat", visibility="public", name="listed", room_alias_name=alias)
    found = friend.get(f"/directory/room/{quote(f'#{alias}:{home.server.name}')}")
    assert found["room_id"] == room and home.server.name in found["servers"], found
    query = urllib.parse.urlencode({"server": home.server.name})
    listed = friend.post(f"/publicRooms?{query}", {"limit": 500, "filter": {"generic_search_term": "listed"}})["chunk"]
    assert room in {entry["room_id"] for entry in listed}, listed
    summary = friend.get(f"/room_summary/{room}?via={home.server.name}", prefix="/_matrix/client/v1")
    assert summary["room_id"] == room and summary["name"] == "listed", summary


def history(world, home, away):
    """What was said before somebody came, page by page, and the event at a point in time."""
    owner, friend = home.users[0], away.users[0]
    room = owner.create_room("11", preset="public_chat")
    old = [owner.say(room, f"before {number}") for number in range(150)]
    friend.join(room, home.server.name)
    world.note(room, owner, friend)
    wait_for_same_history(room, [owner, friend], old)
    time_of = owner.event(room, old[40])["origin_server_ts"]
    path = f"{owner.room(room)}/timestamp_to_event?ts={time_of}&dir=f"
    found = friend.get(path, prefix="/_matrix/client/v1")["event_id"]
    assert owner.event(room, found)["origin_server_ts"] >= time_of, found
    context = friend.get(owner.room(room, f"/context/{quote(old[75])}?limit=10"))
    assert context["event"]["event_id"] == old[75] and len(context["events_before"]) == 5, context


def device_messages(world, home, away):
    """Device lists that change, one-time keys, and messages to devices, each way, at the level of the API."""
    room, owner, friend = shared_room(world, home, away)
    for one, other in ((owner, friend), (friend, owner)):
        one.sync()
        one.devices_changed.clear()
        other.to_device.clear()
        keys = {
            "user_id": other.user_id,
            "device_id": other.device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": {f"curve25519:{other.device_id}": f"curve of {time.time()}", f"ed25519:{other.device_id}": "ed"},
            "signatures": {other.user_id: {f"ed25519:{other.device_id}": "signature"}},
        }
        once = {"signed_curve25519:AAAA": {"key": "once", "signatures": keys["signatures"]}}
        other.post("/keys/upload", {"device_keys": keys, "one_time_keys": once})
        one.until("the changed device list", lambda: other.user_id in one.devices_changed)

        def asked():
            answer = one.post("/keys/query", {"device_keys": {other.user_id: []}})
            return answer["device_keys"].get(other.user_id, {}).get(other.device_id, {}).get("keys") == keys["keys"]

        wait_for("the device's keys", asked)
        wanted = {other.user_id: {other.device_id: "signed_curve25519"}}
        claimed = one.post("/keys/claim", {"one_time_keys": wanted})["one_time_keys"]
        assert claimed[other.user_id][other.device_id] == once, claimed
        claimed = one.post("/keys/claim", {"one_time_keys": wanted})["one_time_keys"]
        assert not claimed.get(other.user_id, {}).get(other.device_id), f"a one-time key is given once: {claimed}"
        for number in range(10):
            message = {"messages": {other.user_id: {other.device_id: {"number": number}}}}
            one.put(f"/sendToDevice/org.example.test/{one.session}-{time.time()}-{number}", message)

        def numbers():
            got = [e for e in other.to_device if e["type"] == "org.example.test" and e["sender"] == one.user_id]
            return [e["content"]["number"] for e in got] == list(range(10))

        other.until("ten messages to its device, in order", numbers, lambda: other.to_device)


def picture(width=64, height=48):
    """A small PNG."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * 4 % 256, y * 5 % 256, 90)[i] for x in range(width) for i in range(3)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def media(world, home, away):
    """Files of the one server fetched through the other: small, large, and a picture's thumbnail."""
    owner, friend = home.users[0], away.users[0]
    large = bytes(range(256)) * 4096 * 5
    for name, kind, data in (("a.txt", "text/plain", b"hello"), ("b.bin", "application/octet-stream", large), ("c.png", "image/png", picture())):
        mxc = owner.post(f"/upload?filename={name}", data, prefix="/_matrix/media/v3", content_type=kind)["content_uri"]
        place = mxc.removeprefix("mxc://")
        headers, got = friend.get(f"/download/{place}", prefix="/_matrix/client/v1/media", raw=True)
        assert got == data, f"{name}: {len(got)} bytes of {len(data)}"
        assert headers["Content-Type"].startswith(kind), headers["Content-Type"]
        assert name in headers["Content-Disposition"], headers["Content-Disposition"]
    path = f"/thumbnail/{place}?width=32&height=32&method=scale"
    headers, got = friend.get(path, prefix="/_matrix/client/v1/media", raw=True)
    assert headers["Content-Type"] in ("image/png", "image/jpeg", "image/webp") and got, headers["Content-Type"]
    missing = f"/download/{home.server.name}/{base64.b16encode(b'nothing here').decode()}"
    try:
        friend.get(missing, prefix="/_matrix/client/v1/media", raw=True)
        raise AssertionError("a file that nobody has was served")
    except Refused as error:
        assert error.status == 404, error


def left_alone(world, home, away, end):
    """`away` is stopped (`end`: "stop") or killed in the middle of traffic ("kill"), misses a good deal, and catches
    up: messages, state, messages to devices."""
    room, owner, friend = shared_room(world, home, away)
    other_room, _, _ = shared_room(world, home, away, "10")
    sent = [friend.say(room, f"before {number}") for number in range(5)]
    if end == "kill":
        sent += [owner.say(room, f"on the way {number}") for number in range(20)]
        sent += [friend.say(room, f"acknowledged {number}") for number in range(20)]
        away.server.kill()
    else:
        away.server.stop()
    sent += [owner.say(room, f"meanwhile {number}") for number in range(120)]
    other = [owner.say(other_room, f"meanwhile {number}") for number in range(30)]
    owner.set_state(room, "m.room.topic", {"topic": "meanwhile"})
    for number in range(5):
        message = {"messages": {friend.user_id: {friend.device_id: {"number": number}}}}
        owner.put(f"/sendToDevice/org.example.away-{end}/{owner.session}-{time.time()}-{number}", message)
    away.server.start()
    sent += [friend.say(room, "back"), owner.say(room, "welcome back")]
    friend.until("the room's end", lambda: sent[-1] in friend.timeline.get(room, {}))
    wait_for_same_history(room, [owner, friend], sent)
    wait_for_same_history(other_room, [owner, friend], other)

    def numbers():
        got = [e["content"]["number"] for e in friend.to_device if e["type"] == f"org.example.away-{end}"]
        return got == list(range(5))

    friend.until("messages to its device", numbers, lambda: friend.to_device[-10:])
    for each in (room, other_room):
        wait_for_same_state(each, [owner, friend])


def split(world, home, away):
    """Both go on by themselves while they can't reach each other: here each is up only while the other is down. Then
    the room has two branches, with state on both, which become one."""
    room, owner, friend = shared_room(world, home, away, power_level_content_override={"users_default": 100} )
    sent = [owner.say(room, "before")]
    wait_for("the last before the split", lambda: friend.event(room, sent[0]))
    away.server.stop()
    for number in range(30):
        sent.append(owner.say(room, f"home branch {number}"))
        if number % 5 == 0:
            owner.set_state(room, "m.room.topic", {"topic": f"home {number}"})
            owner.set_state(room, "org.example.both", {"by": "home"}, f"{number}")
    home.server.stop()
    away.server.start()
    for number in range(30):
        sent.append(friend.say(room, f"away branch {number}"))
        if number % 6 == 0:
            friend.set_state(room, "m.room.topic", {"topic": f"away {number}"})
            friend.set_state(room, "org.example.both", {"by": "away"}, f"{number}")
    home.server.start()
    sent += [owner.say(room, "home again"), friend.say(room, "away again")]
    wait_for_same_history(room, [owner, friend], sent)
    wait_for_same_state(room, [owner, friend])
