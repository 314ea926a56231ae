"""Several conduits, each in a network namespace, with delay, losses, and partitions that heal, while their users do
things at random and servers are killed; afterwards all must tell the same state and show the same events, and
everything that was acknowledged must be there.

    parted.py CONDUIT_PROGRAM [--servers 2] [--seed N] [--deeds 25]

A failing run is repeated with its seed (threads make no two runs the same, but their plans are). Needs root, for the
namespaces. Ends with a line `N passed, N failed`."""

import argparse
import random
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass

from agreement import differences, fingerprint, state_of
from authority import Authority
from client import Refused, User
from hosts import Host, Hosts
from processes import show_logs, temporary_folder, wait_for

VERSIONS = ("10", "12", "6", "11", "9")
# Of each server one user whom nobody touches, so that the server stays in the room, and some who come and go.
RESTLESS = 2
SOFT_FAILED = re.compile(r"soft-failed.*?(\$[\w/+-]+)")


@dataclass
class Deed:
    """Something that a server has acknowledged."""

    room: str
    event: str
    sender: str
    is_message: bool


class Town:
    """The servers, their users, and all that was acknowledged."""

    def __init__(self, hosts, servers, rng):
        self.hosts, self.servers, self.rng = hosts, servers, rng
        self.steady = [User(server, "steady") for server in servers]
        self.restless = [User(server, f"restless{n}") for server in servers for n in range(RESTLESS)]
        self.done, self.refused, self.unsure, self.lock = [], 0, 0, threading.Lock()
        self.rooms = [self.make_room(version, number) for number, version in enumerate(VERSIONS)]
        self.commuters = self.make_room("11", 0, commuters=True)
        self.failed, self.is_whole = [], True

    def make_room(self, version, number, commuters=False):
        """A room of everybody; or one in which only its creator stays, so that servers leave and come back."""
        creator = self.steady[number % len(self.steady)]
        powers = {user.user_id: 100 for user in self.steady}
        powers |= {user.user_id: 50 for user in self.restless[::RESTLESS]}
        if version == "12":
            del powers[creator.user_id]
        power_levels = {"users": powers, "events": {"org.example.free": 0}}
        room = creator.create_room(version, preset="public_chat", power_level_content_override=power_levels)
        guests = [] if commuters else self.steady
        for user in guests + self.restless:
            if user is not creator:
                user.join(room, creator.server.name)
        return room

    def note(self, room, event, user, is_message):
        with self.lock:
            self.done.append(Deed(room, event, user.user_id, is_message))

    # What people do. Each returns the event's id, if it knows it.

    def say(self, rng, user, room):
        return user.say(room, f"{user.user_id} {rng.random()}")

    def name(self, rng, user, room):
        return user.set_state(room, "m.room.name", {"name": f"{user.user_id} {rng.random()}"})

    def own_state(self, rng, user, room):
        return user.set_state(room, "org.example.free", {"by": f"{rng.random()}"}, rng.choice("abcde"))

    def power(self, rng, user, room):
        return user.powers(room, users={rng.choice(self.restless).user_id: rng.choice((0, 25, 50))})

    def member(self, rng, user, room):
        action = rng.choice(("kick", "ban", "unban", "unban", "invite"))
        user.membership(action, room, rng.choice(self.restless).user_id)

    def redact(self, rng, user, room):
        with self.lock:
            mine = [deed.event for deed in self.done if deed.room == room and deed.sender == user.user_id]
        return user.redact(room, rng.choice(mine)) if mine else None

    def come_or_go(self, rng, user, room):
        if user.member(room, user.user_id) == "join":
            user.leave(room)
        else:
            user.join(room, self.steady[0].server.name)

    def nick(self, rng, user, room):
        content = {"membership": "join", "displayname": f"{rng.random()}"}
        return user.set_state(room, "m.room.member", content, user.user_id)

    STEADY = (say,) * 12 + (name, own_state, own_state, power, member, member, redact)
    LIVELY = (say,) * 12 + (name, own_state, own_state, member, redact, come_or_go, come_or_go, nick)

    def live(self, user, steady, seed, deeds):
        """One user's deeds, one after the other."""
        rng = random.Random(seed)
        try:
            for _ in range(deeds):
                # Joining through a server that can't be reached takes a minute to fail: not while the network is parted.
                commutes = not steady and self.is_whole and rng.random() < 0.1
                room = self.commuters if commutes else rng.choice(self.rooms)
                deed = Town.come_or_go if commutes else rng.choice(self.STEADY if steady else self.LIVELY)
                try:
                    event = deed(self, rng, user, room)
                    if event and room != self.commuters:
                        self.note(room, event, user, deed is Town.say)
                except Refused as error:
                    # Forbidden, or (in a parted network) nobody to join through.
                    if error.status not in (400, 403, 404, 500, 502, 503, 504) or (error.status == 500 and not commutes):
                        raise
                    self.refused += 1
                except ConnectionError:
                    # Killed on the way: it may have happened or not.
                    self.unsure += 1
                    wait_for(f"{user.server.kind} is back", lambda: up(user))
        except Exception:
            self.failed.append(f"{user.user_id}:\n{traceback.format_exc()}")

    def phase(self, what, deeds, kill=False, **network):
        """Everybody does some things while the network is as told."""
        counts, self.is_whole = self.hosts.set(**network), "parts" not in network
        people = [(user, True) for user in self.steady] + [(user, False) for user in self.restless]
        threads = [
            threading.Thread(target=self.live, args=(user, steady, self.rng.random(), deeds)) for user, steady in people
        ]
        before, begun = len(self.done), time.monotonic()
        for thread in threads:
            thread.start()
        if kill:
            server = self.rng.choice(self.servers)
            middle = before + len(people) * deeds // 4
            wait_for("some traffic", lambda: len(self.done) >= middle or not any(t.is_alive() for t in threads))
            server.kill()
            server.start()
        for thread in threads:
            thread.join()
        assert not self.failed, "\n".join(self.failed)
        seconds = time.monotonic() - begun
        print(f"phase: {what}: {len(self.done) - before} events in {seconds:.0f} s; network before: {counts}", flush=True)


def up(user):
    try:
        return user.get("/account/whoami")
    except ConnectionError:
        return False


def settle(town):
    """The network is whole, and each server has a word in each room, so that each learns of what it missed."""
    town.hosts.set(delay_ms=5)
    for room in town.rooms:
        for user in town.steady:
            town.note(room, user.say(room, "settle"), user, True)


def come_back(town):
    """Everybody comes back to the commuters' room and is seen there by who stayed."""
    creator = town.steady[0]
    for user in town.restless:

        def back():
            try:
                if creator.member(town.commuters, user.user_id) == "ban":
                    creator.membership("unban", town.commuters, user.user_id)
                user.join(town.commuters, creator.server.name)
            except Refused:
                return False
            return creator.member(town.commuters, user.user_id) == "join"

        wait_for(f"{user.user_id} among the commuters again", back, every=0.5)
    for user in town.restless[::RESTLESS]:
        user.say(town.commuters, "settle")


def same_state(town, room, users):
    last = {}

    def same():
        first, *others = [state_of(user, room) for user in users]
        last["differences"] = [found for other in others if (found := differences(first, other))]
        return not last["differences"]

    wait_for(f"one state of {room}", same, lambda: str(last["differences"])[:2000], every=1)
    return len(state_of(users[0], room))


def redacts(event):
    """The event that a redaction takes the content of."""
    return event["content"].get("redacts") or event.get("redacts")


def same_events(town, room):
    """All servers show what was acknowledged, and the same; but for what a server has soft-failed and so hides."""
    acknowledged = {deed.event for deed in town.done if deed.room == room}
    last = {}

    def same():
        events_shown = [user.history(room) for user in town.steady]
        shown = [{key: fingerprint(event) for key, event in events.items()} for events in events_shown]
        everything = acknowledged.union(*shown)
        soft = [set(SOFT_FAILED.findall(server.log())) for server in town.servers]
        last["missing"] = {
            server.kind: sorted(everything - set(events) - hidden)
            for server, events, hidden in zip(town.servers, shown, soft)
            if everything - set(events) - hidden
        }
        told = {}
        for events in shown:
            for key, print_ in events.items():
                told.setdefault(key, set()).add(print_)
        # A redaction that a server hides has no effect there.
        hidden = set().union(*soft)
        excused = {redacts(event) for events in events_shown for key, event in events.items() if key in hidden}
        last["different"] = {key: prints for key, prints in told.items() if len(prints) > 1 and key not in excused}
        steady = {user.user_id for user in town.steady}
        # Nothing that anybody does forbids these to speak: no server may hide what they say.
        said = {deed.event for deed in town.done if deed.room == room and deed.sender in steady and deed.is_message}
        last["hidden of the steady"] = sorted(set().union(*(said - set(events) for events in shown)))
        last["counts"] = len(acknowledged), len(everything), sum(len(everything & hidden) for hidden in soft)
        return not last["missing"] and not last["different"] and not last["hidden of the steady"]

    wait_for(f"the same events in {room}", same, lambda: str(last)[:3000], every=2)
    return last["counts"]


def plan(town, deeds):
    """The phases: a network that is slow and loses packets, parted in two, parted altogether, with servers killed."""
    everybody = list(range(len(town.servers)))

    def two_parts():
        cut = town.rng.sample(everybody, town.rng.randint(1, len(everybody) - 1))
        return [cut, [host for host in everybody if host not in cut]]

    slow = {"delay_ms": 20, "jitter_ms": 20, "loss": 0.01}
    town.phase("slow and lossy", deeds, **slow)
    town.phase("parted in two", deeds, parts=two_parts(), **slow)
    town.phase("whole again, and a server killed", deeds, kill=True, **slow)
    town.phase("each server alone", deeds, parts=[[host] for host in everybody], **slow)
    town.phase("parted in two, and a server killed", deeds, kill=True, parts=two_parts(), **slow)
    town.phase("parted otherwise", deeds, parts=two_parts(), **slow)
    town.phase("whole, very slow", deeds, delay_ms=80, jitter_ms=60, loss=0.03)


def main(program):
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--deeds", type=int, default=25, help="what each user does in each phase")
    options = parser.parse_args(sys.argv[2:])
    print(f"{options.servers} servers, --seed {options.seed} --deeds {options.deeds}", flush=True)
    passed, failed, servers = 0, [], []

    def step(name, act):
        nonlocal passed
        begun = time.monotonic()
        try:
            found = act()
            passed += 1
            print(f"passed: {name} ({time.monotonic() - begun:.1f} s): {found}", flush=True)
        except Exception:
            failed.append(name)
            print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)

    with temporary_folder() as folder, Hosts(options.servers) as hosts:
        authority = Authority(folder)
        try:
            servers = [Host(program, folder / f"host-{n}", authority, hosts, n) for n in range(options.servers)]
            for server in servers:
                server.start()
            town = Town(hosts, servers, random.Random(options.seed))
            step("traffic", lambda: plan(town, options.deeds))
            print(f"{len(town.done)} acknowledged, {town.refused} refused, {town.unsure} unsure", flush=True)
            step("settling", lambda: settle(town))
            for room, version in zip(town.rooms, VERSIONS):
                step(f"version {version}: state", lambda: same_state(town, room, town.steady))
                step(f"version {version}: (acknowledged, all, soft-failed)", lambda: same_events(town, room))
            step("commuters: all come back", lambda: come_back(town))
            step("commuters: state", lambda: same_state(town, town.commuters, town.restless[::RESTLESS]))
            for server in servers:
                server.stop()
                if problems := server.check():
                    failed.append(f"conduit check of {server.kind}")
                    print(problems)
            if failed:
                show_logs(folder)
        finally:
            for server in servers:
                server.kill()
    print("".join(f"failed: {name}\n" for name in failed) + f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
