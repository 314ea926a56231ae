"""Two people chat through matrix-nio: nio_chat.py BASE_URL REGISTRATION_TOKEN.

Every answer is checked. Prints a line for each step, and `all steps passed` at the end; a failed step ends
the script with its reason and status 1.
"""

import asyncio
import secrets
import sys
import traceback

import nio

MESSAGES = 100
PASSWORD = "correct horse battery staple"
SYNCS_MAX = 40
SYNC_TIMEOUT_MS = 10_000
WHOLE_TIMEOUT_S = 240


class Failure(Exception):
    """A step that did not go as the specification says."""


def check(condition, what):
    """Fails the script unless the condition holds."""
    if not condition:
        raise Failure(what)


def step(text):
    """Tells that a step has passed."""
    print(f"passed: {text}", flush=True)


async def good(request, kind):
    """The response of a request, which must be of that kind."""
    response = await request
    check(isinstance(response, kind), f"wanted {kind.__name__}, got {response!r}")
    return response


def new_client(base_url, user=""):
    """A client that gives up at once instead of trying for ever."""
    config = nio.AsyncClientConfig(max_timeouts=1, max_limit_exceeded=1, request_timeout=30)
    return nio.AsyncClient(base_url, user, config=config)


class Device:
    """One logged-in device, and all that its syncs have brought."""

    def __init__(self, client):
        self.client = client
        self.timeline = []
        self.ephemeral = []

    @classmethod
    async def log_in(cls, base_url, user, name):
        """A new device of a user, by password."""
        client = new_client(base_url, user)
        await good(client.login(PASSWORD, device_name=name), nio.LoginResponse)
        check(client.access_token and client.device_id, "a login brings a token and a device")
        return cls(client)

    @property
    def user_id(self):
        return self.client.user_id

    async def sync(self, timeout=0):
        """One sync; keeps what it brings."""
        response = await good(self.client.sync(timeout=timeout), nio.SyncResponse)
        for room_id, room in response.rooms.join.items():
            check(not room.timeline.limited or not self.timeline, "no gap in a chat followed live")
            self.timeline += [(room_id, event) for event in room.timeline.events]
            self.ephemeral += [(room_id, event) for event in room.ephemeral]
        return response

    async def until(self, wanted, what):
        """Syncs until `wanted` (of the last response) holds."""
        response = await self.sync()
        for _ in range(SYNCS_MAX):
            if wanted(response):
                return response
            response = await self.sync(SYNC_TIMEOUT_MS)
        raise Failure(f"{self.user_id} never saw {what}")

    async def until_event(self, room_id, wanted, what):
        """Syncs until an event has come; the event."""
        def found():
            return next((e for r, e in self.timeline if r == room_id and wanted(e)), None)

        if found() is None:
            await self.until(lambda _: found() is not None, what)
        return found()

    async def until_ephemeral(self, room_id, wanted, what):
        """Syncs until an ephemeral event has come."""
        def found():
            return any(r == room_id and wanted(e) for r, e in self.ephemeral)

        if not found():
            await self.until(lambda _: found(), what)

    def bodies(self, room_id):
        """The texts that the syncs have brought, in their order."""
        events = [e for r, e in self.timeline if r == room_id]
        return [e.body for e in events if isinstance(e, nio.RoomMessageText)]

    async def send(self, room_id, body):
        """Sends a text; its event id."""
        content = {"msgtype": "m.text", "body": body}
        sent = await good(self.client.room_send(room_id, "m.room.message", content), nio.RoomSendResponse)
        check(sent.event_id.startswith("$"), f"an event id, not {sent.event_id!r}")
        return sent.event_id

    async def page_back(self, room_id, start, limit):
        """All events from `start` back to the room's beginning, newest first."""
        events = []
        for _ in range(1_000):
            page = await good(
                self.client.room_messages(room_id, start=start, limit=limit), nio.RoomMessagesResponse
            )
            check(len(page.chunk) <= limit, f"at most {limit} events a page, not {len(page.chunk)}")
            events += page.chunk
            if not page.end:
                return events
            start = page.end
        raise Failure("paging back never ended")


async def register(base_url, token, name):
    """A new account, by registration token; its user id."""
    client = new_client(base_url)
    try:
        username = f"{name}-{secrets.token_hex(5)}"
        response = await good(client.register_with_token(username, PASSWORD, token), nio.RegisterResponse)
        check(response.user_id == f"@{username}:localhost", f"the user id asked for: {response.user_id}")
        await good(client.whoami(), nio.WhoamiResponse)
        return response.user_id
    finally:
        await client.close()


async def make_room(alice, bob):
    """A private room of Alice's that Bob joins by invite."""
    created = await good(
        alice.client.room_create(name="Nio", preset=nio.RoomPreset.private_chat), nio.RoomCreateResponse
    )
    room_id = created.room_id
    await alice.until(lambda _: room_id in alice.client.rooms, "her own room")
    check(alice.client.rooms[room_id].name == "Nio", "the room has its name")
    await bob.sync()
    refused = await bob.client.join(room_id)
    check(isinstance(refused, nio.JoinError), f"a private room is closed: {refused!r}")
    check(refused.status_code == "M_FORBIDDEN", f"a private room is closed: {refused!r}")
    await good(alice.client.room_invite(room_id, bob.user_id), nio.RoomInviteResponse)
    await bob.until(lambda response: room_id in response.rooms.invite, "the invite")
    check(bob.client.invited_rooms[room_id].inviter == alice.user_id, "the invite says who invites")
    check(bob.client.invited_rooms[room_id].name == "Nio", "the invite says to which room")
    await good(bob.client.join(room_id), nio.JoinResponse)
    await bob.until(lambda response: room_id in response.rooms.join, "the joined room")
    await alice.until_event(
        room_id,
        lambda e: isinstance(e, nio.RoomMemberEvent) and e.state_key == bob.user_id
        and e.membership == "join",
        "Bob's joining",
    )
    return room_id


async def talk(alice, bob, room_id):
    """Messages both ways, each seen by the other before the next; their ids."""
    sent = []
    for number in range(MESSAGES):
        sender, receiver = (alice, bob) if number % 2 == 0 else (bob, alice)
        body = f"message {number} ☃"
        waiting = asyncio.create_task(
            receiver.until_event(
                room_id, lambda e, body=body: isinstance(e, nio.RoomMessageText) and e.body == body, body
            )
        )
        event_id = await sender.send(room_id, body)
        event = await waiting
        check(event.event_id == event_id, f"{body} has the id that its sender was told")
        check(event.sender == sender.user_id, f"{body} has its sender")
        sent.append((event_id, body))
    for person in (alice, bob):
        await person.until_event(room_id, lambda e: e.event_id == sent[-1][0], "the last message")
        check(person.bodies(room_id) == [body for _, body in sent], "each message once and in order")
    return sent


async def check_history(device, room_id, start, sent, redacted=()):
    """The whole history, page by page, has each message once and in order."""
    for limit in (17, 100):
        events = await device.page_back(room_id, start, limit)
        ids = [event.event_id for event in events]
        check(len(ids) == len(set(ids)), "no event on two pages")
        known = {event_id for event_id, _ in sent}
        expected = [event_id for event_id, _ in reversed(sent)]
        check([i for i in ids if i in known] == expected, "each message once, newest first")
        check(isinstance(events[-1], nio.RoomCreateEvent), "the history starts with the room's creation")
        bodies = {event_id: body for event_id, body in sent if event_id not in redacted}
        for event in events:
            if event.event_id in bodies:
                check(event.body == bodies[event.event_id], f"the text of {event.event_id}")
            if event.event_id in redacted:
                check(isinstance(event, nio.RedactedEvent), f"redacted: {event!r}")


async def redact(alice, bob, room_id, sent):
    """Alice redacts a message of her own; both see it."""
    event_id, body = sent[MESSAGES // 2]
    response = await good(
        alice.client.room_redact(room_id, event_id, reason="typed too fast"), nio.RoomRedactResponse
    )
    event = await bob.until_event(room_id, lambda e: e.event_id == response.event_id, "the redaction")
    check(isinstance(event, nio.RedactionEvent), f"a redaction: {event!r}")
    check(event.redacts == event_id, f"it says what it redacts: {event.redacts}")
    check(event.reason == "typed too fast", f"it says why: {event.reason}")
    for person in (alice, bob):
        read = await good(person.client.room_get_event(room_id, event_id), nio.RoomGetEventResponse)
        check(isinstance(read.event, nio.RedactedEvent), f"redacted: {read.event!r}")
        check(body not in str(read.event.source), f"the text is gone: {read.event.source}")
    return event_id


async def set_topic(alice, bob, room_id):
    """Alice sets the topic; Bob sees it and may not set it himself."""
    topic = "weather and other subjects"
    await good(alice.client.update_room_topic(room_id, topic), nio.RoomPutStateResponse)
    event = await bob.until_event(room_id, lambda e: isinstance(e, nio.RoomTopicEvent), "the topic")
    check(event.topic == topic, f"the topic is {event.topic!r}")
    check(bob.client.rooms[room_id].topic == topic, "Bob's client shows the topic")
    refused = await bob.client.room_put_state(room_id, "m.room.topic", {"topic": "mine"})
    check(getattr(refused, "status_code", None) == "M_FORBIDDEN", f"Bob has no power: {refused!r}")
    state = await good(bob.client.room_get_state_event(room_id, "m.room.topic"), nio.RoomGetStateEventResponse)
    check(state.content["topic"] == topic, f"the topic is still Alice's: {state.content}")
    return topic


async def read_and_type(alice, bob, room_id, sent):
    """Bob reads and types; Alice sees both."""
    last = sent[-1][0]
    await good(bob.client.room_read_markers(room_id, last, last), nio.RoomReadMarkersResponse)
    previous = sent[-2][0]
    await good(bob.client.update_receipt_marker(room_id, previous), nio.UpdateReceiptMarkerResponse)

    def receipt(event_id):
        return lambda e: isinstance(e, nio.ReceiptEvent) and any(
            r.event_id == event_id and r.user_id == bob.user_id and r.receipt_type == "m.read"
            for r in e.receipts
        )

    await alice.until_ephemeral(room_id, receipt(last), "Bob's receipt")
    await alice.until_ephemeral(room_id, receipt(previous), "Bob's receipt in the main thread")
    await good(bob.client.room_typing(room_id, True, timeout=30_000), nio.RoomTypingResponse)
    typing = lambda users: lambda e: isinstance(e, nio.TypingNoticeEvent) and e.users == users
    await alice.until_ephemeral(room_id, typing([bob.user_id]), "Bob typing")
    check(alice.client.rooms[room_id].typing_users == [bob.user_id], "Alice's client shows Bob typing")
    alice.ephemeral.clear()
    await good(bob.client.room_typing(room_id, False), nio.RoomTypingResponse)
    await alice.until_ephemeral(room_id, typing([]), "Bob no longer typing")


async def second_device(base_url, bob, alice, room_id, sent, redacted, topic):
    """A new device of Bob's sees everything after its initial sync."""
    tablet = await Device.log_in(base_url, bob.user_id, "tablet")
    check(tablet.client.device_id != bob.client.device_id, "a device of its own")
    response = await tablet.sync()
    check(room_id in response.rooms.join, "the room is in the initial sync")
    room = tablet.client.rooms[room_id]
    check(room.name == "Nio", f"its name: {room.name}")
    check(room.topic == topic, f"its topic: {room.topic}")
    members = await good(tablet.client.joined_members(room_id), nio.JoinedMembersResponse)
    users = sorted(member.user_id for member in members.members)
    check(users == sorted([alice.user_id, bob.user_id]), f"its members: {users}")
    timeline = response.rooms.join[room_id].timeline
    check(timeline.limited and timeline.events, "a long room comes in part, with a way back")
    older = await tablet.page_back(room_id, timeline.prev_batch, 30)
    ids = [event.event_id for event in reversed(older)] + [event.event_id for event in timeline.events]
    check(len(ids) == len(set(ids)), "timeline and history do not overlap")
    known = {event_id for event_id, _ in sent}
    check([i for i in ids if i in known] == [i for i, _ in sent], "history and timeline are the whole chat")
    await check_history(tablet, room_id, None, sent, {redacted})
    devices = await good(tablet.client.devices(), nio.DevicesResponse)
    listed = {device.id for device in devices.devices}
    check({bob.client.device_id, tablet.client.device_id} <= listed, f"both devices are listed: {listed}")
    return tablet


async def leave(alice, bob, tablet, room_id):
    """Bob leaves; everybody sees it, and he is out."""
    await good(bob.client.room_leave(room_id), nio.RoomLeaveResponse)
    await alice.until_event(
        room_id,
        lambda e: isinstance(e, nio.RoomMemberEvent) and e.state_key == bob.user_id
        and e.membership == "leave",
        "Bob's leaving",
    )
    check(bob.user_id not in alice.client.rooms[room_id].users, "Alice's client shows him gone")
    for device in (bob, tablet):
        await device.until(lambda response: room_id in response.rooms.leave, "the room left")
    joined = await good(bob.client.joined_rooms(), nio.JoinedRoomsResponse)
    check(room_id not in joined.rooms, f"Bob is out: {joined.rooms}")
    content = {"msgtype": "m.text", "body": "from outside"}
    refused = await bob.client.room_send(room_id, "m.room.message", content)
    check(getattr(refused, "status_code", None) == "M_FORBIDDEN", f"who left is silent: {refused!r}")


async def log_out(device):
    """The token ends with the session."""
    await good(device.client.logout(), nio.LogoutResponse)


async def chat(base_url, token):
    """The whole chat."""
    alice_id = await register(base_url, token, "alice")
    bob_id = await register(base_url, token, "bob")
    step("two users register with the token")
    alice = await Device.log_in(base_url, alice_id, "laptop")
    bob = await Device.log_in(base_url, bob_id, "phone")
    devices = [alice, bob]
    try:
        step("both log in by password")
        room_id = await make_room(alice, bob)
        step("a private room is created, invited to and joined")
        sent = await talk(alice, bob, room_id)
        step(f"{MESSAGES} messages went both ways")
        for person in devices:
            await check_history(person, room_id, person.client.next_batch, sent)
        step("both paginate back to the start")
        redacted = await redact(alice, bob, room_id, sent)
        step("a message is redacted")
        topic = await set_topic(alice, bob, room_id)
        step("the topic is set")
        await read_and_type(alice, bob, room_id, sent)
        step("receipts and typing are seen")
        tablet = await second_device(base_url, bob, alice, room_id, sent, redacted, topic)
        devices.append(tablet)
        step("a second device sees it all after an initial sync")
        await leave(alice, bob, tablet, room_id)
        step("Bob leaves")
        for device in devices:
            await log_out(device)
        step("all log out")
    finally:
        for device in devices:
            await device.client.close()


def main():
    """Entry: 0 when all steps passed, 1 otherwise."""
    if len(sys.argv) != 3:
        sys.exit("usage: nio_chat.py BASE_URL REGISTRATION_TOKEN")
    try:
        asyncio.run(asyncio.wait_for(chat(sys.argv[1], sys.argv[2]), WHOLE_TIMEOUT_S))
    except Failure as failure:
        traceback.print_exc()
        sys.exit(f"FAILED: {failure}")
    except TimeoutError:
        traceback.print_exc()
        sys.exit(f"FAILED: not done within {WHOLE_TIMEOUT_S} s")
    print("all steps passed")


if __name__ == "__main__":
    main()
