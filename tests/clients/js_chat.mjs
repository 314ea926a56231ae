// Two people chat through matrix-js-sdk: js_chat.mjs BASE_URL REGISTRATION_TOKEN, with CONDUIT_TEST_JS naming
// the folder where `tests/clients/setup` put the library.
//
// Every answer is checked. Prints a line for each step, and `all steps passed` at the end; a failed step ends
// the script with its reason and status 1.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const MESSAGES = 100;
const PASSWORD = "correct horse battery staple";
const WAIT_MS = 30_000;
const WHOLE_MS = 240_000;
const PAGES_MAX = 1_000;

// The library tells every step of its own on the console; here only our own steps and failures are told.
const { error: complain } = console;
for (const level of ["trace", "debug", "log", "info", "warn", "error"]) console[level] = () => {};

const library = createRequire(join(process.env.CONDUIT_TEST_JS, "package.json"));
const load = (name) => import(pathToFileURL(library.resolve(name)));
const sdk = await load("matrix-js-sdk");
const newClient = (options) => sdk.createClient({ baseUrl, ...options });

const [baseUrl, token] = process.argv.slice(2);
if (!token) {
    complain("usage: js_chat.mjs BASE_URL REGISTRATION_TOKEN");
    process.exit(2);
}

const tell = (line) => process.stdout.write(`${line}\n`);
const step = (text) => tell(`passed: ${text}`);

/** Waits until `found()` gives something, looking again at each of the client's events of these names. */
async function until(client, events, found, what) {
    const now = found();
    if (now) return now;
    return new Promise((resolve, reject) => {
        const end = (settle, value) => {
            clearTimeout(timer);
            events.forEach((event) => client.off(event, look));
            settle(value);
        };
        const look = () => {
            const value = found();
            if (value) end(resolve, value);
        };
        const timer = setTimeout(
            () => end(reject, new Error(`${client.getUserId()} never saw ${what}`)),
            WAIT_MS,
        );
        events.forEach((event) => client.on(event, look));
    });
}

/** A request that must fail with that errcode. */
async function refused(request, status, errcode) {
    const error = await request.then(
        (answer) => assert.fail(`wanted ${errcode}, got ${JSON.stringify(answer)}`),
        (error) => error,
    );
    assert.equal(error.errcode, errcode, String(error));
    assert.equal(error.httpStatus, status, String(error));
}

/** A new account, through the stages that the server asks for. */
async function register(name) {
    const client = newClient({});
    const username = `${name}-${randomBytes(5).toString("hex")}`;
    let challenge;
    try {
        await client.registerRequest({ username, password: PASSWORD });
        assert.fail("a registration without the token succeeded");
    } catch (error) {
        assert.equal(error.httpStatus, 401, String(error));
        challenge = error.data;
    }
    assert.ok(challenge.session, "the challenge opens a session");
    const { stages } = challenge.flows[0];
    assert.ok(stages.includes("m.login.registration_token"), `the token is asked for: ${stages}`);
    for (const [index, type] of stages.entries()) {
        const auth = { type, session: challenge.session };
        if (type === "m.login.registration_token") auth.token = token;
        try {
            const registered = await client.registerRequest({ username, password: PASSWORD, auth });
            assert.equal(index, stages.length - 1, "registered after the last stage only");
            assert.equal(registered.user_id, `@${username}:localhost`);
            assert.ok(registered.access_token && registered.device_id);
            return registered.user_id;
        } catch (error) {
            assert.equal(error.httpStatus, 401, String(error));
            assert.equal(error.errcode, undefined, `stage ${type} passed: ${error}`);
            assert.deepEqual(error.data.completed, stages.slice(0, index + 1));
        }
    }
    return assert.fail("all stages passed, and no account");
}

/** A logged-in client that syncs, with its initial sync done. */
async function logIn(userId, deviceName) {
    const session = await newClient({}).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: userId },
        password: PASSWORD,
        initial_device_display_name: deviceName,
    });
    assert.equal(session.user_id, userId);
    const client = newClient({
        userId,
        accessToken: session.access_token,
        deviceId: session.device_id,
        timelineSupport: true,
    });
    await client.startClient({ initialSyncLimit: 20, lazyLoadMembers: true });
    const prepared = () => client.isInitialSyncComplete();
    await until(client, [sdk.ClientEvent.Sync], prepared, "its initial sync");
    return client;
}

/** A room as a client knows it, once its membership is that. */
function untilMember(client, roomId, membership) {
    const found = () => {
        const room = client.getRoom(roomId);
        return room?.getMyMembership() === membership && room;
    };
    const events = [sdk.ClientEvent.Room, sdk.RoomEvent.MyMembership, sdk.ClientEvent.Sync];
    return until(client, events, found, `${roomId} as ${membership}`);
}

/** The events of a client's live timeline that the server has confirmed. */
function liveEvents(client, roomId) {
    return client.getRoom(roomId).getLiveTimeline().getEvents().filter((event) => event.getId().startsWith("$"));
}

function untilEvent(client, roomId, wanted, what) {
    const events = [sdk.RoomEvent.Timeline, sdk.RoomEvent.LocalEchoUpdated, sdk.ClientEvent.Sync];
    return until(client, events, () => liveEvents(client, roomId).find(wanted), what);
}

/** A private room of Alice's that Bob joins by invite. */
async function makeRoom(alice, bob) {
    const { room_id: roomId } = await alice.createRoom({ name: "Js", preset: sdk.Preset.PrivateChat });
    await untilMember(alice, roomId, "join");
    await refused(bob.joinRoom(roomId), 403, "M_FORBIDDEN");
    await alice.invite(roomId, bob.getUserId());
    const invited = await untilMember(bob, roomId, "invite");
    assert.equal(invited.name, "Js", "the invite says to which room");
    assert.equal(invited.getMember(bob.getUserId()).events.member.getSender(), alice.getUserId());
    await bob.joinRoom(roomId);
    await untilMember(bob, roomId, "join");
    const joined = (event) =>
        event.getType() === "m.room.member" &&
        event.getStateKey() === bob.getUserId() &&
        event.getContent().membership === "join";
    await untilEvent(alice, roomId, joined, "Bob's joining");
    return roomId;
}

/** Messages both ways, each seen by the other before the next. */
async function talk(alice, bob, roomId) {
    const sent = [];
    for (let number = 0; number < MESSAGES; number += 1) {
        const [sender, receiver] = number % 2 === 0 ? [alice, bob] : [bob, alice];
        const body = `message ${number} ☃`;
        const hasBody = (event) => event.getContent().body === body;
        const waiting = untilEvent(receiver, roomId, hasBody, body);
        const { event_id: id } = await sender.sendTextMessage(roomId, body);
        const event = await waiting;
        assert.equal(event.getId(), id);
        assert.equal(event.getSender(), sender.getUserId());
        sent.push({ id, body });
    }
    for (const person of [alice, bob]) {
        await untilEvent(person, roomId, (event) => event.getId() === sent.at(-1).id, "the last message");
        const seen = liveEvents(person, roomId).filter((event) => event.getType() === "m.room.message");
        assert.deepEqual(seen.map((event) => ({ id: event.getId(), body: event.getContent().body })), sent);
    }
    return sent;
}

/** Pages a client's own timeline back to the room's start, and compares it with what was sent. */
async function checkHistory(client, roomId, sent, redactedId) {
    const room = client.getRoom(roomId);
    let pages = 0;
    while (room.oldState.paginationToken !== null) {
        assert.ok(pages < PAGES_MAX, "paging back never ended");
        pages += 1;
        await client.scrollback(room, 17);
    }
    const events = room.getLiveTimeline().getEvents();
    assert.equal(events[0].getType(), "m.room.create", "the history starts with the room's creation");
    const ids = events.map((event) => event.getId());
    assert.equal(new Set(ids).size, ids.length, "no event twice");
    const messages = events.filter((event) => event.getType() === "m.room.message");
    assert.deepEqual(messages.map((event) => event.getId()), sent.map(({ id }) => id));
    for (const [index, event] of messages.entries()) {
        assert.equal(event.isRedacted(), event.getId() === redactedId, `${event.getId()} redacted`);
        const expected = event.getId() === redactedId ? undefined : sent[index].body;
        assert.equal(event.getContent().body, expected);
    }
    return pages;
}

/** The plain `/messages`, page by page, in both directions. */
async function checkPages(client, roomId, sent) {
    for (const direction of [sdk.Direction.Backward, sdk.Direction.Forward]) {
        const ids = [];
        let from = null;
        let pages = 0;
        do {
            assert.ok(pages < PAGES_MAX, "paging never ended");
            pages += 1;
            const page = await client.createMessagesRequest(roomId, from, 30, direction);
            assert.ok(page.chunk.length <= 30);
            ids.push(...page.chunk.filter((event) => event.type === "m.room.message").map((event) => event.event_id));
            from = page.end;
        } while (from);
        if (direction === sdk.Direction.Backward) ids.reverse();
        assert.deepEqual(ids, sent.map(({ id }) => id));
    }
}

/** Alice redacts a message of her own; both see it. */
async function redact(alice, bob, roomId, sent) {
    const { id, body } = sent[MESSAGES / 2];
    await alice.redactEvent(roomId, id, undefined, { reason: "typed too fast" });
    for (const person of [alice, bob]) {
        const gone = (event) => event.getId() === id && event.isRedacted();
        const event = await until(
            person,
            [sdk.RoomEvent.Redaction, sdk.RoomEvent.Timeline, sdk.ClientEvent.Sync],
            () => liveEvents(person, roomId).find(gone),
            "the redaction",
        );
        assert.equal(event.getRedactionEvent().content.reason, "typed too fast");
        const raw = await person.fetchRoomEvent(roomId, id);
        assert.deepEqual(raw.content, {});
        assert.ok(!JSON.stringify(raw).includes(body), "the text is gone");
    }
    return id;
}

/** Alice sets the topic; Bob sees it and may not set it himself. */
async function setTopic(alice, bob, roomId) {
    const topic = "weather and other subjects";
    await alice.setRoomTopic(roomId, topic);
    const current = () =>
        bob.getRoom(roomId).currentState.getStateEvents("m.room.topic", "")?.getContent().topic === topic;
    await until(bob, [sdk.RoomStateEvent.Events, sdk.ClientEvent.Sync], current, "the topic");
    await refused(bob.setRoomTopic(roomId, "mine"), 403, "M_FORBIDDEN");
    assert.equal((await bob.getStateEvent(roomId, "m.room.topic", "")).topic, topic);
    return topic;
}

/** Bob reads and types; Alice sees both. */
async function readAndType(alice, bob, roomId, sent) {
    const last = bob.getRoom(roomId).findEventById(sent.at(-1).id);
    await bob.sendReadReceipt(last);
    await bob.setRoomReadMarkers(roomId, last.getId());
    const read = () => alice.getRoom(roomId).hasUserReadEvent(bob.getUserId(), last.getId());
    await until(alice, [sdk.RoomEvent.Receipt, sdk.ClientEvent.Sync], read, "Bob's receipt");
    const unread = () => bob.getRoom(roomId).getUnreadNotificationCount() === 0;
    await until(bob, [sdk.RoomEvent.UnreadNotifications, sdk.ClientEvent.Sync], unread, "nothing unread");

    const isTyping = () => alice.getRoom(roomId).getMember(bob.getUserId()).typing;
    const events = [sdk.RoomMemberEvent.Typing, sdk.ClientEvent.Sync];
    await bob.sendTyping(roomId, true, 30_000);
    await until(alice, events, isTyping, "Bob typing");
    await bob.sendTyping(roomId, false, 0);
    await until(alice, events, () => !isTyping(), "Bob no longer typing");
}

/** A new device of Bob's sees everything after its initial sync. */
async function secondDevice(alice, bob, roomId, sent, redactedId, topic) {
    const tablet = await logIn(bob.getUserId(), "tablet");
    assert.notEqual(tablet.getDeviceId(), bob.getDeviceId());
    const room = tablet.getRoom(roomId);
    assert.equal(room.getMyMembership(), "join");
    assert.equal(room.name, "Js");
    assert.equal(room.currentState.getStateEvents("m.room.topic", "").getContent().topic, topic);
    assert.ok(room.getLiveTimeline().getEvents().length <= 20, "a long room comes in part");
    await room.loadMembersIfNeeded();
    const members = room.getJoinedMembers().map((member) => member.userId).sort();
    assert.deepEqual(members, [alice.getUserId(), bob.getUserId()].sort());
    assert.equal(room.getJoinedMemberCount(), 2);
    assert.ok(room.hasUserReadEvent(bob.getUserId(), sent.at(-1).id), "its receipts");
    const fullyRead = room.getAccountData("m.fully_read").getContent();
    assert.equal(fullyRead.event_id, sent.at(-1).id);
    const pages = await checkHistory(tablet, roomId, sent, redactedId);
    assert.ok(pages > 1, "the rest came by paging");
    const { devices } = await tablet.getDevices();
    const listed = devices.map((device) => device.device_id);
    assert.ok(listed.includes(bob.getDeviceId()) && listed.includes(tablet.getDeviceId()), String(listed));
    return tablet;
}

/** Bob leaves; everybody sees it, and he is out. */
async function leave(alice, bob, tablet, roomId) {
    await bob.leave(roomId);
    const gone = () => alice.getRoom(roomId).getMember(bob.getUserId()).membership === "leave";
    await until(alice, [sdk.RoomStateEvent.Members, sdk.ClientEvent.Sync], gone, "Bob's leaving");
    await untilMember(bob, roomId, "leave");
    await untilMember(tablet, roomId, "leave");
    const { joined_rooms: joined } = await bob.getJoinedRooms();
    assert.ok(!joined.includes(roomId), String(joined));
    const raw = { msgtype: "m.text", body: "from outside" };
    await refused(bob.sendEvent(roomId, "m.room.message", raw), 403, "M_FORBIDDEN");
}

async function chat() {
    const aliceId = await register("alice");
    const bobId = await register("bob");
    step("two users register with the token");
    const alice = await logIn(aliceId, "laptop");
    const bob = await logIn(bobId, "phone");
    step("both log in by password and sync");
    const roomId = await makeRoom(alice, bob);
    step("a private room is created, invited to and joined");
    const sent = await talk(alice, bob, roomId);
    step(`${MESSAGES} messages went both ways`);
    for (const person of [alice, bob]) {
        await checkHistory(person, roomId, sent, undefined);
        await checkPages(person, roomId, sent);
    }
    step("both paginate back to the start");
    const redactedId = await redact(alice, bob, roomId, sent);
    step("a message is redacted");
    const topic = await setTopic(alice, bob, roomId);
    step("the topic is set");
    await readAndType(alice, bob, roomId, sent);
    step("receipts and typing are seen");
    const tablet = await secondDevice(alice, bob, roomId, sent, redactedId, topic);
    step("a second device sees it all after an initial sync");
    await leave(alice, bob, tablet, roomId);
    step("Bob leaves");
    for (const client of [alice, bob, tablet]) {
        await client.logout(true);
        await refused(client.whoami(), 401, "M_UNKNOWN_TOKEN");
    }
    step("all log out");
}

setTimeout(() => {
    complain(`FAILED: not done within ${WHOLE_MS / 1000} s`);
    process.exit(1);
}, WHOLE_MS).unref();

try {
    await chat();
} catch (error) {
    complain("FAILED:", error);
    process.exit(1);
}
tell("all steps passed");
// The library may hold timers of its own.
process.exit(0);
