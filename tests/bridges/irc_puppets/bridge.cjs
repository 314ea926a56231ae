// A bridge on matrix-appservice-bridge, made for the tests: one room, one IRC channel, and a puppet on the other side
// for everybody on this one. Messages, topics, kicks and typing go both ways (IRC has no typing: a CTCP message
// "TYPING" stands for it).
//
//   bridge.cjs register FILE URL                      writes the registration
//   bridge.cjs run FILE PORT HOMESERVER IRC_PORT      bridges the room that its bot is invited to, and #tea
"use strict";

// The framework loads its encryption though nobody asks for it, and its native part comes from no registry.
const Module = require("node:module");
const load = Module._load;
Module._load = (name, ...more) => (name === "@matrix-org/matrix-sdk-crypto-nodejs" ? {} : load(name, ...more));

const { AppServiceRegistration, Bridge, Logger } = require("matrix-appservice-bridge");
const { Client: IrcClient } = require("irc-framework");

const CHANNEL = "#tea";
const GHOSTS_AT_ONCE = 10;

function register(file, url) {
    const registration = new AppServiceRegistration(url);
    registration.setId("irc-puppets");
    registration.setSenderLocalpart("puppeteer");
    registration.setHomeserverToken(AppServiceRegistration.generateToken());
    registration.setAppServiceToken(AppServiceRegistration.generateToken());
    registration.setRateLimited(false);
    registration.pushEphemeral = true;
    registration.addRegexPattern("users", "@irc_.*", true);
    registration.outputAsYaml(file);
}

class Puppets {
    constructor(registration, homeserverUrl, ircPort) {
        this.ircPort = ircPort;
        this.room = null;
        this.onIrc = new Map(); // Matrix user -> the promise of a client that is in the channel
        this.nicks = new Set(["puppeteer"]);
        this.toMatrix = Promise.resolve();
        this.transaction = 0;
        this.typing = new Set();
        this.bridge = new Bridge({
            registration,
            homeserverUrl,
            domain: "localhost",
            disableStores: true,
            queue: { type: "single", perRequest: true },
            controller: {
                onEvent: (request) => {
                    request.outcomeFrom(this.fromMatrix(request.getData()));
                },
                onEphemeralEvent: (request) => this.ephemeral(request.getData()),
            },
        });
    }

    async run(port) {
        await this.bridge.run(port);
        this.bot = this.bridge.getIntent();
        this.ircBot = await this.connect("puppeteer");
        this.ircBot.on("privmsg", ({ nick, target, message }) => this.fromIrc(nick, target, () => this.say(nick, message)));
        this.ircBot.on("topic", ({ nick, channel, topic }) =>
            this.fromIrc(nick, channel, () => this.state("m.room.topic", "", { topic })),
        );
        this.ircBot.on("kick", (kick) => this.fromIrc(kick.nick, kick.channel, () => this.kickedOnIrc(kick)));
        this.ircBot.on("ctcp response", ({ nick, target, type }) => {
            if (type === "TYPING") this.fromIrc(nick, target, () => this.ghost(nick).sendTyping(this.room, true));
        });
        console.log("ready");
    }

    connect(nick) {
        const client = new IrcClient();
        client.connect({ host: "127.0.0.1", port: this.ircPort, nick, username: nick, gecos: nick });
        client.on("registered", () => client.join(CHANNEL));
        return new Promise((resolve) => {
            client.on("join", (join) => join.nick === nick && resolve(client));
        });
    }

    // --- from Matrix

    async fromMatrix(event) {
        if (event.type === "m.room.member") return this.member(event);
        if (event.room_id !== this.room || event.sender.startsWith("@irc_")) return;
        if (event.type === "m.room.message") {
            const flood = /^!flood (\d+)$/.exec(event.content.body);
            if (flood) return void this.flood(Number(flood[1]));
            return (await this.puppet(event.sender)).say(CHANNEL, event.content.body);
        }
        if (event.type === "m.room.topic" && event.sender !== this.bot.userId) {
            (await this.puppet(event.sender)).setTopic(CHANNEL, event.content.topic);
        }
    }

    async member(event) {
        const { membership, reason } = event.content;
        if (event.state_key === this.bot.userId && membership === "invite") {
            await this.bot.join(event.room_id);
            this.room = event.room_id;
        } else if (membership === "leave" && event.sender !== event.state_key && event.sender !== this.bot.userId) {
            this.ircBot.raw("KICK", CHANNEL, this.nickOf(event.state_key), reason ?? "");
        }
    }

    async ephemeral(event) {
        if (event.type !== "m.typing" || event.room_id !== this.room) return;
        const now = new Set(event.content.user_ids.filter((user) => !user.startsWith("@irc_")));
        for (const user of now) {
            if (!this.typing.has(user)) (await this.puppet(user)).ctcpResponse(CHANNEL, "TYPING");
        }
        this.typing = now;
    }

    nickOf(user) {
        return user.replace(/^@(irc_)?/, "").replace(/:.*/, "");
    }

    puppet(user) {
        if (!this.onIrc.has(user)) {
            const nick = this.nickOf(user);
            this.nicks.add(nick);
            this.onIrc.set(user, this.connect(nick));
        }
        return this.onIrc.get(user);
    }

    // --- from IRC

    // One after the other: the order is the channel's. The room is known once the bot is in it.
    fromIrc(nick, target, act) {
        if (target.toLowerCase() !== CHANNEL || this.nicks.has(nick) || !this.room) return;
        this.toMatrix = this.toMatrix.then(act).catch((error) => console.log("not bridged:", error));
    }

    ghost(nick) {
        return this.bridge.getIntent(`@irc_${nick}:localhost`);
    }

    async say(nick, body) {
        const ghost = this.ghost(nick);
        await until(() => ghost.join(this.room));
        // The same transaction id again, so that what the server took before it went down is not doubled.
        const transaction = `${process.pid}-${(this.transaction += 1)}`;
        const path = `/_matrix/client/v3/rooms/${encodeURIComponent(this.room)}/send/m.room.message/${transaction}`;
        await until(() => ghost.matrixClient.doRequest("PUT", path, null, { msgtype: "m.text", body }));
    }

    state(type, key, content) {
        return until(() => this.bot.sendStateEvent(this.room, type, key, content));
    }

    async kickedOnIrc({ kicked, message }) {
        for (const user of this.onIrc.keys()) {
            if (this.nickOf(user) !== kicked) continue;
            this.onIrc.delete(user);
            await until(() => this.bot.kick(this.room, user, message));
        }
    }

    // --- many ghosts

    async flood(count) {
        const start = Date.now();
        let next = 0;
        const worker = async () => {
            while (next < count) {
                const ghost = this.ghost(`flood${(next += 1)}`);
                await until(() => ghost.ensureProfile(ghost.userId));
                await until(() => ghost.join(this.room));
            }
        };
        await Promise.all(Array.from({ length: GHOSTS_AT_ONCE }, worker));
        await this.bot.sendText(this.room, `${count} ghosts in ${Date.now() - start} ms`);
    }
}

// Tries again while the server is away, as a bridge has to.
async function until(act) {
    for (;;) {
        try {
            return await act();
        } catch (error) {
            if (error.statusCode !== undefined) throw error; // it did answer
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }
}

async function main([command, file, ...more]) {
    if (command === "register") return register(file, more[0]);
    Logger.configure({ console: "info" });
    const [port, homeserver, ircPort] = more;
    await new Puppets(file, homeserver, Number(ircPort)).run(Number(port));
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exit(1);
});
