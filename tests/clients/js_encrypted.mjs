// Two people with three devices each, and a third one of another server, talk end-to-end encrypted through
// matrix-js-sdk and its Rust crypto:
//   js_encrypted.mjs HOME_URL AWAY_URL REGISTRATION_TOKEN, with CONDUIT_TEST_JS naming the folder of the library.
//
// The away server federates with the home server. While messages go in both directions, devices log in, are
// verified by cross-signing and log out. The line `crash home` or `crash away` invites whoever runs this to end that
// server at once, without notice, and to start it again behind the same address: the talk goes on meanwhile. Every
// message must be decrypted by every device that its sender could know of; in the end new devices read all of it
// with keys from the backup. Prints a line for each step, and `all steps passed` at the end. tests/sdk does the same
// with matrix-sdk.

/** In the middle of each block a server crashes, while devices come and go. */
const BLOCKS = 5;
const MESSAGES_A_BLOCK = 40;
const WHOLE_MS = 900_000;
/** Only a later key of the message's session has come. */
const LATER_KEY = "OLM_UNKNOWN_MESSAGE_INDEX";
const RESTORED_EVERY_MS = 5_000;

const { error: complain } = console;
for (const level of ["trace", "debug", "log", "info", "warn", "error"]) console[level] = () => {};

const { Account, Device, until, verifyByEmoji } = await import("./js_device.mjs");

const [home, away, token] = process.argv.slice(2);
if (!token) {
    complain("usage: js_encrypted.mjs HOME_URL AWAY_URL REGISTRATION_TOKEN");
    process.exit(2);
}

const tell = (line) => process.stdout.write(`${line}\n`);
const step = (text) => tell(`passed: ${text}`);

/** The conversation: who is there, what was said, and who must have read it. */
class Talk {
    constructor(people, roomId) {
        Object.assign(this, { people, roomId });
        /** How many messages were begun. */
        this.begun = 0;
        /** Those that the server has taken: number, id, text. */
        this.sent = [];
        /** Devices that take part, each with the number of the first message that it must read. */
        this.present = [];
    }

    /** A device takes part: from when on everybody knows of it, it must read everything. */
    async welcome(device) {
        await until(() => device.client.getRoom(this.roomId), `the room on ${device.name}`);
        for (const { device: other } of this.present) {
            await until(() => other.knows(device), `${device.name} at ${other.name}`);
        }
        this.present.push({ device, first: this.begun });
    }

    /** Says `count` things in turn, each by another person and device. */
    async say(count) {
        for (let said = 0; said < count; said += 1) {
            const number = this.begun;
            this.begun += 1;
            const person = this.people[number % this.people.length];
            const theirs = this.present.filter(({ device }) => device.account === person);
            const { device } = theirs[Math.floor(number / this.people.length) % theirs.length];
            const body = `secret ${number} ☃`;
            const id = await device.say(this.roomId, body);
            this.sent.push({ number, id, body });
        }
    }

    /** Those of `sent` that a device has not decrypted. */
    lacking(device, sent) {
        const seen = device.reads(this.roomId);
        const lacking = sent.filter(({ id, body }) => seen.get(id) !== body);
        return lacking.map(({ id, body }) => ({ id, body, why: device.failure(this.roomId, id) }));
    }

    /** Waits until a device has read all that it must of what was sent until now; the number of messages. */
    async reads(device, first) {
        const sent = this.sent.filter(({ number }) => number >= first);
        let restored = 0;
        const all = async () => {
            const lacking = this.lacking(device, sent);
            // matrix-sdk-crypto 0.19 keeps the later one of two keys of a session that come in one answer, as to a
            // client that was away. The other one is in the backup, where clients look when the room is opened.
            const late = ({ why }) => why === LATER_KEY;
            if (lacking.length > 0 && lacking.every(late) && Date.now() > restored + RESTORED_EVERY_MS) {
                restored = Date.now();
                await device.restore(this.roomId);
            }
            return lacking.length === 0;
        };
        await until(all, `all messages on ${device.name}`).catch((error) => {
            const lacking = this.lacking(device, sent).map(({ id, body, why }) => `${body} (${id}): ${why}`);
            throw new Error(`${error.message}; ${lacking.join(", ")}`);
        });
        if (restored > 0) step(`${device.name} has got a key of an earlier message from the backup`);
        return sent.length;
    }

    /** A new device, verified by emoji with one that is there or by the recovery key; it takes part. */
    async arrival(account, name, byEmoji) {
        const device = await Device.logIn(account, name);
        if (byEmoji) {
            const { device: old } = this.present.find(({ device: other }) => other.account === account);
            await verifyByEmoji(old, device);
        } else {
            await account.recover(device);
        }
        for (const { device: other } of this.present) {
            await until(() => other.seesVerified(device), `${device.name} verified at ${other.name}`);
        }
        await this.welcome(device);
    }

    /** A device logs out, having read everything; the others forget it. */
    async farewell(account, name) {
        const index = this.present.findIndex(({ device }) => device.name === `${account.name}'s ${name}`);
        const [{ device, first }] = this.present.splice(index, 1);
        await this.reads(device, first);
        const { id, userId } = device;
        await device.logOut();
        for (const { device: other } of this.present) {
            const forgotten = async () => !(await other.knows({ id, userId }));
            await until(forgotten, `${other.name} forgets ${device.name}`);
        }
    }

    /** Devices that come and go during each block. */
    comingsAndGoings() {
        const [alice, bob, carol] = this.people;
        return [
            async () => {
                await this.arrival(alice, "second", true);
                await this.arrival(bob, "second", false);
            },
            async () => {
                await this.arrival(alice, "third", false);
                await this.arrival(bob, "third", true);
                await this.arrival(carol, "second", true);
            },
            async () => {
                await this.farewell(alice, "second");
                await this.farewell(bob, "second");
            },
            async () => {
                await this.arrival(alice, "fourth", true);
                await this.arrival(bob, "fourth", false);
            },
            async () => {
                await this.farewell(carol, "second");
                await this.arrival(carol, "third", false);
            },
        ];
    }

    /** The home server crashes in each block, the away server in every second one. */
    async speakingThroughACrash(block) {
        await this.say(MESSAGES_A_BLOCK / 4);
        tell("crash home");
        await this.say(MESSAGES_A_BLOCK / 2);
        if (block % 2 === 1) tell("crash away");
    }

    /** All blocks; then everybody has read what they must. */
    async throughFiveCrashes() {
        const comings = this.comingsAndGoings();
        for (let block = 0; block < BLOCKS; block += 1) {
            await Promise.all([this.speakingThroughACrash(block), comings[block]()]);
            // The new devices as well.
            await this.say(MESSAGES_A_BLOCK / 4);
            const names = this.present.map(({ device }) => device.name).join(", ");
            step(`${this.sent.length} messages, now with ${names}`);
        }
        const reading = this.present.map(async ({ device, first }) => {
            const count = await this.reads(device, first);
            step(`${device.name} has read all ${count} messages since it took part`);
        });
        const failed = (await Promise.allSettled(reading)).filter(({ status }) => status === "rejected");
        if (failed.length > 0) throw new Error(failed.map(({ reason }) => reason.message).join("\n"));
    }

    /** A new device of each person reads everything, with keys from the backup. */
    async historyFromBackups() {
        for (const account of this.people) {
            const device = await Device.logIn(account, "restored");
            await account.recover(device);
            // The others' newest keys may be on their way to the backup still.
            const restored = async () => {
                await device.restore(this.roomId);
                return this.lacking(device, this.sent).length === 0;
            };
            await until(restored, `keys for all messages on ${device.name}`);
            step(`${device.name} has read all ${this.sent.length} messages with keys from the backup`);
        }
    }
}

async function chat() {
    const people = [];
    for (const [url, name] of [[home, "alice"], [home, "bob"], [away, "carol"]]) {
        people.push(await Account.register(url, name, token));
    }
    const firsts = [];
    for (const person of people) firsts.push(await person.firstDevice());
    step("all set up cross-signing, secret storage and a key backup");
    const [maker, ...guests] = firsts;
    const roomId = await maker.createRoom(guests);
    for (const guest of guests) await guest.join(roomId);
    for (const device of firsts) {
        for (const { userId } of firsts) await until(() => device.seesJoined(roomId, userId), "everybody's joining");
    }
    const talk = new Talk(people, roomId);
    for (const device of firsts) await talk.welcome(device);
    step("all three are in an encrypted room");
    await talk.throughFiveCrashes();
    await talk.historyFromBackups();
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
