// Two people on two homeservers talk end-to-end encrypted through matrix-js-sdk and its Rust crypto:
//   encrypted.mjs BASE_URL_A BASE_URL_B, with CONDUIT_TEST_JS naming the folder of the library.
//
// Registration must be open. Prints a line for each step, and `all steps passed` at the end.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const MESSAGES = 40;
const PASSWORD = "correct horse battery staple";
const WAIT_MS = 180_000;
const LOOK_EVERY_MS = 100;

const { error: complain } = console;
for (const level of ["trace", "debug", "log", "info", "warn", "error"]) console[level] = () => {};

const library = createRequire(join(process.env.CONDUIT_TEST_JS, "package.json"));
const sdk = await import(pathToFileURL(library.resolve("matrix-js-sdk")));
const urls = process.argv.slice(2);
if (urls.length !== 2) {
    complain("usage: encrypted.mjs BASE_URL_A BASE_URL_B");
    process.exit(2);
}
const step = (text) => process.stdout.write(`passed: ${text}\n`);

async function until(found, what) {
    const end = Date.now() + WAIT_MS;
    for (;;) {
        const now = await found();
        if (now) return now;
        assert.ok(Date.now() < end, `never came: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
}

async function register(baseUrl, name) {
    const username = `${name}-${randomBytes(5).toString("hex")}`;
    const body = { username, password: PASSWORD, auth: { type: "m.login.dummy" }, inhibit_login: true };
    const path = `${baseUrl}/_matrix/client/v3/register`;
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    const registered = await answer.json();
    assert.equal(answer.status, 200, JSON.stringify(registered));
    return registered.user_id;
}

/** A new device of a user, with crypto and synced once. */
async function logIn(baseUrl, userId, name) {
    const session = await sdk.createClient({ baseUrl }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: userId },
        password: PASSWORD,
        initial_device_display_name: name,
    });
    const { access_token: accessToken, device_id: deviceId } = session;
    const client = sdk.createClient({ baseUrl, userId, accessToken, deviceId });
    await client.initRustCrypto({ useIndexedDB: false });
    const filter = new sdk.Filter(userId);
    filter.setTimelineLimit(4 * MESSAGES);
    await client.startClient({ filter, initialSyncLimit: 4 * MESSAGES });
    await until(() => client.isInitialSyncComplete(), `${name}'s initial sync`);
    return client;
}

async function makeRoom(owner, guest) {
    const { room_id: roomId } = await owner.createRoom({
        preset: sdk.Preset.PrivateChat,
        invite: [guest.getUserId()],
        initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
    });
    await until(() => guest.getRoom(roomId)?.getMyMembership() === "invite", "the invite");
    await guest.joinRoom(roomId);
    await until(() => owner.getRoom(roomId)?.getMember(guest.getUserId())?.membership === "join", "the joining");
    return roomId;
}

async function say(client, roomId, sent) {
    const body = `secret ${sent.size} ☃`;
    const { event_id: id } = await client.sendEvent(roomId, "m.room.message", { msgtype: "m.text", body });
    sent.set(id, body);
}

/** The decrypted texts of a room that a device has, by event. */
function texts(client, roomId) {
    const events = client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
    const encrypted = events.filter((event) => event.getWireType() === "m.room.encrypted");
    const text = (event) => (event.isDecryptionFailure() ? null : event.getContent().body);
    return new Map(encrypted.map((event) => [event.getId(), text(event)]));
}

async function untilReads(client, roomId, sent) {
    const lacking = () => [...sent].filter(([id, body]) => texts(client, roomId).get(id) !== body);
    const what = `${client.getUserId()} ${client.getDeviceId()} reads ${sent.size} messages`;
    await until(() => lacking().length === 0, what).catch((error) => {
        throw new Error(`${error.message}; lacks ${JSON.stringify(lacking())}`);
    });
}

const devicesOf = async (client, userId) => (await client.getCrypto().getUserDeviceInfo([userId])).get(userId);

async function chat(homeUrl, awayUrl) {
    const [ownerId, guestId] = [await register(homeUrl, "owner"), await register(awayUrl, "guest")];
    const [owner, guest] = [await logIn(homeUrl, ownerId, "laptop"), await logIn(awayUrl, guestId, "phone")];
    for (const client of [owner, guest]) {
        await client.getCrypto().bootstrapCrossSigning({ authUploadDeviceSigningKeys: (request) => request(null) });
    }
    const roomId = await makeRoom(owner, guest);
    const sent = new Map();
    for (let number = 0; number < MESSAGES; number += 1) {
        await say(number % 2 ? guest : owner, roomId, sent);
        // So that both share a session with each other's device before the rest.
        if (number < 2) for (const client of [owner, guest]) await untilReads(client, roomId, sent);
    }
    for (const client of [owner, guest]) await untilReads(client, roomId, sent);
    step(`${sent.size} messages between ${ownerId} and ${guestId}`);

    for (const [one, other] of [[owner, guestId], [guest, ownerId]]) {
        await until(() => one.getCrypto().userHasCrossSigningKeys(other, true), `the identity of ${other}`);
    }
    step("each has the other's cross-signing keys");

    const later = new Map();
    const tablet = await logIn(awayUrl, guestId, "tablet");
    await until(async () => (await devicesOf(owner, guestId))?.has(tablet.getDeviceId()), "the new device");
    for (let number = 0; number < 6; number += 1) await say(owner, roomId, later);
    for (const client of [guest, tablet]) await untilReads(client, roomId, later);
    step("a new device of the guest's reads what is said from then on");

    const gone = tablet.getDeviceId();
    await tablet.logout(true);
    await until(async () => !(await devicesOf(owner, guestId))?.has(gone), "the device being gone");
    step("and is forgotten when it has logged out");
    for (const client of [owner, guest]) client.stopClient();
}

try {
    await chat(urls[0], urls[1]);
    await chat(urls[1], urls[0]);
} catch (error) {
    complain("FAILED:", error);
    process.exit(1);
}
process.stdout.write("all steps passed\n");
process.exit(0);
