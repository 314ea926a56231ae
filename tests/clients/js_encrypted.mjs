// Two people talk end-to-end encrypted through matrix-js-sdk and its Rust crypto:
//   js_encrypted.mjs BASE_URL REGISTRATION_TOKEN, with CONDUIT_TEST_JS naming the folder of the library.
//
// Twice it prints `crash` and waits for a line: who runs it may end the server in between and start it again behind
// the same address. Prints a line for each step, and `all steps passed` at the end.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const MESSAGES = 52;
const PASSWORD = "correct horse battery staple";
const WAIT_MS = 60_000;
const WHOLE_MS = 400_000;
const LOOK_EVERY_MS = 100;

const { error: complain } = console;
for (const level of ["trace", "debug", "log", "info", "warn", "error"]) console[level] = () => {};

const library = createRequire(join(process.env.CONDUIT_TEST_JS, "package.json"));
const sdk = await import(pathToFileURL(library.resolve("matrix-js-sdk")));
const [baseUrl, token] = process.argv.slice(2);
if (!token) {
    complain("usage: js_encrypted.mjs BASE_URL REGISTRATION_TOKEN");
    process.exit(2);
}

const tell = (line) => process.stdout.write(`${line}\n`);
const step = (text) => tell(`passed: ${text}`);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Lets the server be ended and started again, if somebody does that. */
async function crash() {
    tell("crash");
    const { done, value } = await answers.next();
    assert.ok(!done && value === "back", "the server is back");
}

/** Looks until `found` gives something. */
async function until(found, what) {
    const end = Date.now() + WAIT_MS;
    for (;;) {
        const now = await found();
        if (now) return now;
        assert.ok(Date.now() < end, `never came: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
}

/** A request that is repeated while the server is away. */
async function persistently(request, what) {
    return until(async () => {
        try {
            return (await request()) ?? true;
        } catch (error) {
            if (error.httpStatus && error.httpStatus < 500) throw error;
            return undefined;
        }
    }, what);
}

async function register(name) {
    const username = `${name}-${randomBytes(5).toString("hex")}`;
    const post = async (body) => {
        const path = `${baseUrl}/_matrix/client/v3/register`;
        const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
        return { status: answer.status, body: await answer.json() };
    };
    const { body } = await post({ username, password: PASSWORD });
    const { session } = body;
    let registered;
    for (const auth of [{ type: "m.login.registration_token", token, session }, { type: "m.login.dummy", session }]) {
        registered = await post({ username, password: PASSWORD, auth, inhibit_login: true });
        if (registered.status === 200) break;
    }
    assert.equal(registered.status, 200, JSON.stringify(registered.body));
    return registered.body.user_id;
}

/** A device of a user, with crypto. `recovery` is the key of the user's secret storage, once there is one. */
async function logIn(userId, name, recovery) {
    const session = await sdk.createClient({ baseUrl }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: userId },
        password: PASSWORD,
        initial_device_display_name: name,
    });
    const cryptoCallbacks = {
        getSecretStorageKey: async ({ keys }) => [Object.keys(keys)[0], recovery.key.privateKey],
    };
    const client = sdk.createClient({
        baseUrl,
        userId,
        accessToken: session.access_token,
        deviceId: session.device_id,
        cryptoCallbacks,
    });
    await client.initRustCrypto({ useIndexedDB: false });
    // All that was missed while the server was away comes at once, and not in part.
    const filter = new sdk.Filter(userId);
    filter.setTimelineLimit(2 * MESSAGES);
    await client.startClient({ filter, initialSyncLimit: 2 * MESSAGES, lazyLoadMembers: true });
    await until(() => client.isInitialSyncComplete(), `${name}'s initial sync`);
    return client;
}

/** A user's first device: cross-signing without a password (MSC3967), secret storage and a key backup. */
async function setUp(client, recovery) {
    const crypto = client.getCrypto();
    recovery.key = await crypto.createRecoveryKeyFromPassphrase();
    await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: (request) => request(null) });
    await crypto.bootstrapSecretStorage({
        createSecretStorageKey: async () => recovery.key,
        setupNewSecretStorage: true,
        setupNewKeyBackup: true,
    });
    assert.ok(await crypto.isCrossSigningReady(), "cross-signing is ready");
    assert.ok(await crypto.isSecretStorageReady(), "secret storage is ready");
}

/** The decrypted texts of a room that a device has, by event. */
function texts(client, roomId) {
    const events = client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
    const sent = events.filter((event) => event.getWireType() === "m.room.encrypted" && event.getId().startsWith("$"));
    return new Map(sent.map((event) => [event.getId(), event.isDecryptionFailure() ? null : event.getContent().body]));
}

function untilReads(client, roomId, sent, what) {
    const has = ([id, body]) => texts(client, roomId).get(id) === body;
    const missing = () => {
        const seen = texts(client, roomId);
        const lacking = [...sent].filter((message) => !has(message));
        return JSON.stringify(lacking.map(([id, body]) => [body, id, seen.get(id) ?? "not there"]));
    };
    return until(() => [...sent].every(has), `${what} reads ${sent.size} messages`).catch((error) => {
        throw new Error(`${error.message}; missing: ${missing()}`);
    });
}

async function makeRoom(alice, bob) {
    const encryption = { algorithm: "m.megolm.v1.aes-sha2" };
    const { room_id: roomId } = await alice.createRoom({
        preset: sdk.Preset.PrivateChat,
        invite: [bob.getUserId()],
        initial_state: [{ type: "m.room.encryption", state_key: "", content: encryption }],
    });
    await until(() => bob.getRoom(roomId)?.getMyMembership() === "invite", "the invite");
    await bob.joinRoom(roomId);
    const joined = () => alice.getRoom(roomId)?.getMember(bob.getUserId())?.membership === "join";
    await until(joined, "Bob's joining");
    return roomId;
}

async function talk(people, roomId, sent, count) {
    for (let number = 0; number < count; number += 1) {
        const sender = people[number % people.length];
        const body = `secret ${sent.size} ☃`;
        const txnId = randomBytes(8).toString("hex");
        const content = { msgtype: "m.text", body };
        const { event_id: id } = await persistently(
            () => sender.sendEvent(roomId, "m.room.message", content, txnId),
            body,
        );
        sent.set(id, body);
    }
}

/** Another device of Alice's: verified through secret storage, with the history from the backup. */
async function newDevice(alice, bob, roomId, sent, recovery) {
    const backedUp = async () => {
        const { count } = await alice.http.authedRequest("GET", "/room_keys/version");
        return count >= 2 && count;
    };
    await until(backedUp, "the sessions of both in Alice's backup");
    const tablet = await logIn(alice.getUserId(), "tablet", recovery);
    const crypto = tablet.getCrypto();
    await until(() => crypto.userHasCrossSigningKeys(tablet.getUserId(), true), "her own identity");
    await crypto.bootstrapCrossSigning({});
    await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    await crypto.checkKeyBackupAndEnable();
    const restored = await crypto.restoreKeyBackup();
    assert.ok(restored.imported >= 2, `sessions were restored: ${JSON.stringify(restored)}`);
    const room = await until(() => tablet.getRoom(roomId), "the room");
    while (room.oldState.paginationToken) await tablet.scrollback(room, 100);
    const encrypted = room.getLiveTimeline().getEvents().filter((event) => event.isEncrypted());
    await Promise.all(encrypted.map((event) => tablet.decryptEventIfNeeded(event)));
    await untilReads(tablet, roomId, sent, "the new device");
    for (const other of [alice, bob]) {
        const verified = async () => {
            const known = await other.getCrypto().getUserDeviceInfo([alice.getUserId()], true);
            if (!known.get(alice.getUserId())?.has(tablet.getDeviceId())) return false;
            const status = await other
                .getCrypto()
                .getDeviceVerificationStatus(alice.getUserId(), tablet.getDeviceId());
            return status?.signedByOwner;
        };
        await until(verified, `${other.getUserId()} sees the new device signed by its owner`);
    }
    return tablet;
}

async function chat() {
    const [aliceId, bobId] = [await register("alice"), await register("bob")];
    const [hers, his] = [{}, {}];
    const laptop = await logIn(aliceId, "laptop", hers);
    const phone = await logIn(bobId, "phone", his);
    await setUp(laptop, hers);
    await setUp(phone, his);
    step("both set up cross-signing, secret storage and a key backup");
    const roomId = await makeRoom(laptop, phone);
    const sent = new Map();
    await talk([laptop, phone], roomId, sent, MESSAGES / 2);
    for (const device of [laptop, phone]) await untilReads(device, roomId, sent, device.getUserId());
    step("both read each other's messages");
    await crash();
    await talk([phone, laptop], roomId, sent, MESSAGES / 2);
    for (const device of [laptop, phone]) await untilReads(device, roomId, sent, device.getUserId());
    step("and after a crash");
    const tablet = await newDevice(laptop, phone, roomId, sent, hers);
    step("a new device is verified by cross-signing and reads the history from the backup");
    await crash();
    const later = new Map();
    const talkLater = async (people) => {
        const before = new Map(sent);
        await talk(people, roomId, sent, people.length);
        for (const [id, body] of sent) if (!before.has(id)) later.set(id, body);
    };
    await talkLater([phone, tablet, laptop]);
    for (const device of [laptop, phone, tablet]) await untilReads(device, roomId, later, device.getDeviceId());
    step("all devices read what is sent after another crash");
    const other = await logIn(bobId, "desktop", his);
    await until(() => other.getCrypto().userHasCrossSigningKeys(bobId, true), "his own identity");
    await other.getCrypto().bootstrapCrossSigning({});
    const known = async () => {
        const devices = await laptop.getCrypto().getUserDeviceInfo([bobId]);
        return devices.get(bobId)?.has(other.getDeviceId());
    };
    await until(known, "Bob's new device at Alice's");
    later.clear();
    await talkLater([laptop, tablet]);
    await untilReads(other, roomId, later, "Bob's new device");
    step("a device that logs in gets the keys of what is sent from then on");
    const gone = other.getDeviceId();
    await other.logout(true);
    const forgotten = async () => {
        const devices = await laptop.getCrypto().getUserDeviceInfo([bobId]);
        return !devices.get(bobId)?.has(gone);
    };
    await until(forgotten, "Bob's device being gone");
    step("and one that logs out is forgotten");
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
process.exit(0);
