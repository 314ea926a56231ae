// Accounts and devices for js_encrypted.mjs: clients of matrix-js-sdk with its Rust crypto.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PASSWORD = "correct horse battery staple";
/** What is waited for comes within a second, and within some more after a crash: clients and servers back off. */
const WAIT_MS = 120_000;
const LOOK_EVERY_MS = 100;
/** Events that come at once: more than the whole talk has, so that a device that was away misses none. */
const TIMELINE = 500;

const library = createRequire(join(process.env.CONDUIT_TEST_JS, "package.json"));
const load = async (name) => import(pathToFileURL(library.resolve(name)));
export const sdk = await load("matrix-js-sdk");
const cryptoApi = await load("matrix-js-sdk/lib/crypto-api/index.js");

/** Looks until `found` gives something. */
export async function until(found, what) {
    const end = Date.now() + WAIT_MS;
    for (;;) {
        const now = await found();
        if (now) return now;
        assert.ok(Date.now() < end, `never came: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
}

/** What a request gives that is repeated while the server is away. */
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

/** Who talks. */
export class Account {
    /** A new account on a server that wants a registration token. */
    static async register(baseUrl, name, token) {
        const username = `${name}-${randomBytes(5).toString("hex")}`;
        const post = async (body) => {
            const path = `${baseUrl}/_matrix/client/v3/register`;
            const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
            return { status: answer.status, body: await answer.json() };
        };
        const { session } = (await post({ username, password: PASSWORD })).body;
        let answer;
        for (const stage of [{ type: "m.login.registration_token", token }, { type: "m.login.dummy" }]) {
            const auth = { ...stage, session };
            answer = await post({ username, password: PASSWORD, auth, inhibit_login: true });
            if (answer.status === 200) break;
        }
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        return new Account(baseUrl, name, answer.body.user_id);
    }

    constructor(baseUrl, name, userId) {
        Object.assign(this, { baseUrl, name, userId, recovery: undefined });
    }

    /** Its first device: cross-signing without a password (MSC3967), secret storage and a key backup. */
    async firstDevice() {
        const device = await Device.logIn(this, "first");
        this.recovery = await device.crypto.createRecoveryKeyFromPassphrase();
        await device.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: (request) => request(null) });
        await device.crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => this.recovery,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        });
        assert.ok(await device.crypto.isCrossSigningReady(), "cross-signing is ready");
        assert.ok(await device.crypto.isSecretStorageReady(), "secret storage is ready");
        return device;
    }

    /** Verifies a new device with the key of the secret storage. */
    async recover(device) {
        const known = () => device.crypto.userHasCrossSigningKeys(this.userId, true);
        await until(known, `the identity of ${this.name} on ${device.name}`);
        await persistently(() => device.crypto.bootstrapCrossSigning({}), `the recovery of ${device.name}`);
    }
}

/** A client of its own with its own keys, which syncs. */
export class Device {
    static async logIn(account, name) {
        const { baseUrl, userId } = account;
        const login = {
            type: "m.login.password",
            identifier: { type: "m.id.user", user: userId },
            password: PASSWORD,
            initial_device_display_name: name,
        };
        const session = await persistently(() => sdk.createClient({ baseUrl }).loginRequest(login), "the login");
        const getSecretStorageKey = async ({ keys }) => [Object.keys(keys)[0], account.recovery.privateKey];
        const client = sdk.createClient({
            baseUrl,
            userId,
            accessToken: session.access_token,
            deviceId: session.device_id,
            cryptoCallbacks: { getSecretStorageKey },
            verificationMethods: ["m.sas.v1"],
        });
        await client.initRustCrypto({ useIndexedDB: false });
        const filter = new sdk.Filter(userId);
        filter.setTimelineLimit(TIMELINE);
        await client.startClient({ filter, initialSyncLimit: TIMELINE, lazyLoadMembers: true });
        const device = new Device(account, `${account.name}'s ${name}`, client);
        await until(() => client.isInitialSyncComplete(), `${device.name}'s initial sync`);
        return device;
    }

    constructor(account, name, client) {
        Object.assign(this, { account, name, client, userId: account.userId, sending: Promise.resolve() });
    }

    get id() {
        return this.client.getDeviceId();
    }

    get crypto() {
        return this.client.getCrypto();
    }

    async createRoom(guests) {
        const encryption = { algorithm: "m.megolm.v1.aes-sha2" };
        const { room_id: roomId } = await this.client.createRoom({
            preset: sdk.Preset.PrivateChat,
            invite: guests.map((guest) => guest.userId),
            initial_state: [{ type: "m.room.encryption", state_key: "", content: encryption }],
        });
        return roomId;
    }

    async join(roomId) {
        await until(() => this.client.getRoom(roomId)?.getMyMembership() === "invite", `${this.name}'s invite`);
        await this.client.joinRoom(roomId);
    }

    seesJoined(roomId, userId) {
        return this.client.getRoom(roomId)?.getMember(userId)?.membership === "join";
    }

    /** Sends a message; a request whose answer a crash has swallowed is made again with the same transaction id. */
    async say(roomId, body) {
        let unsent;
        const send = async () => {
            try {
                if (unsent) return await this.client.resendEvent(unsent, this.client.getRoom(roomId));
                return await this.client.sendEvent(roomId, "m.room.message", { msgtype: "m.text", body });
            } catch (error) {
                unsent = error.event ?? unsent;
                throw error;
            }
        };
        this.sending = persistently(send, `the answer to ${body}`);
        return (await this.sending).event_id;
    }

    /** The decrypted texts of a room by event; null where it could not be decrypted. */
    reads(roomId) {
        const events = this.client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
        const sent = events.filter((it) => it.getWireType() === "m.room.encrypted" && it.getId().startsWith("$"));
        return new Map(sent.map((it) => [it.getId(), it.isDecryptionFailure() ? null : it.getContent().body]));
    }

    /** Why it has not decrypted an event. */
    failure(roomId, eventId) {
        const event = this.client.getRoom(roomId)?.findEventById(eventId);
        return event ? (event.decryptionFailureReason ?? JSON.stringify(event.getContent())) : "not there";
    }

    /** Whether it knows of another device. */
    async knows(other) {
        return (await this.crypto.getUserDeviceInfo([other.userId])).get(other.userId)?.has(other.id) ?? false;
    }

    /** Whether it sees another device signed by its owner's keys. */
    async seesVerified(other) {
        if (!(await this.knows(other))) return false;
        return (await this.crypto.getDeviceVerificationStatus(other.userId, other.id))?.signedByOwner;
    }

    /** Reads the whole history with keys from the backup. */
    async restore(roomId) {
        await this.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
        await this.crypto.checkKeyBackupAndEnable();
        await this.crypto.restoreKeyBackup();
        const room = await until(() => this.client.getRoom(roomId), `the room on ${this.name}`);
        while (room.oldState.paginationToken) await this.client.scrollback(room, 100);
        const encrypted = room.getLiveTimeline().getEvents().filter((event) => event.isEncrypted());
        await Promise.all(encrypted.map((event) => this.client.decryptEventIfNeeded(event)));
    }

    /** Logs out, once what is being sent has been sent. */
    async logOut() {
        await this.sending;
        await persistently(() => this.client.logout(true), `${this.name}'s logout`);
    }
}

/** One device verifies another of the same user: both show the same emoji. */
export async function verifyByEmoji(old, fresh) {
    await until(() => old.knows(fresh), `${fresh.name} at ${old.name}`);
    // Who does not know the device that asks takes no notice of it.
    await until(() => fresh.knows(old), `${old.name} at ${fresh.name}`);
    const request = await old.crypto.requestDeviceVerification(fresh.userId, fresh.id);
    const asked = () =>
        fresh.crypto
            .getVerificationRequestsToDeviceInProgress(fresh.userId)
            .find(({ transactionId }) => transactionId === request.transactionId);
    const theirs = await until(asked, "the request for verification");
    await theirs.accept();
    const { VerificationPhase, VerifierEvent } = cryptoApi;
    await until(() => request.phase === VerificationPhase.Ready, "the acceptance");
    const verifiers = [await request.startVerification("m.sas.v1")];
    verifiers.push(await until(() => theirs.verifier, "the start of the verification"));
    const shown = verifiers.map(
        (verifier) => new Promise((resolve) => verifier.once(VerifierEvent.ShowSas, resolve)),
    );
    const ends = verifiers.map((verifier) => verifier.verify());
    const compared = Promise.all(shown).then(async (sas) => {
        const [first, second] = sas.map((one) => JSON.stringify(one.sas.emoji));
        assert.equal(first, second, "the same emoji");
        await Promise.all(sas.map((one) => one.confirm()));
    });
    await Promise.all([compared, ...ends]);
    const secrets = async () => {
        const { privateKeysCachedLocally: keys } = await fresh.crypto.getCrossSigningStatus();
        return keys.masterKey && keys.selfSigningKey && keys.userSigningKey;
    };
    await until(secrets, `the secrets on ${fresh.name}`);
}
