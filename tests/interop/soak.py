"""A day of ten servers in half an hour: 50 rooms, each with users of some of the servers, who talk, read, type, come and
go, while half of the servers are killed, stay away and come back, and one dies for good. The memory of those that run
all the time must be as much at the end as at a third of the time, within a tenth; and in the end the living agree.

    soak.py CONDUIT_PROGRAM [--minutes 30] [--rate 20] [--rooms 50] [--servers 10] [--memory-mb 32]

`rate` is how many things are done a second, by all users together; the achieved is told. Ends with a line
`N passed, N failed`. On loopback only."""

import argparse
import random
import statistics
import sys
import threading
import time
import traceback

from agreement import wait_for_same_state
from authority import Authority
from client import Refused, User, quote
from processes import show_logs, temporary_folder
from servers import Conduit

USERS_A_SERVER = 3
TALKERS = 8
SAMPLE_SECONDS = 2.0
# How much more memory than at a third of the time there may be in the end.
GROWTH_MAX = 0.10


class World:
    def __init__(self, servers, rooms, rng):
        self.servers, self.rng = servers, rng
        self.users = [[User(server, f"user{number}") for number in range(USERS_A_SERVER)] for server in servers]
        # Of each room: users by server. The first server stays up, and its first user is in.
        self.rooms, self.newest = {}, {}
        for number in range(rooms):
            self.make_room(number)
        self.ending = threading.Event()
        self.counts, self.refused, self.broken, self.failures = {}, 0, 0, []
        self.lock = threading.Lock()

    def make_room(self, number):
        steady = number % (len(self.servers) // 2)
        owner = self.users[steady][0]
        room = owner.create_room("11", preset="public_chat", name=f"room {number}")
        others = self.rng.sample([n for n in range(len(self.servers)) if n != steady], self.rng.randint(3, len(self.servers) - 1))
        members = [owner]
        for server in others:
            for user in self.users[server][: self.rng.randint(1, USERS_A_SERVER)]:
                user.join(room, owner.server.name)
                members.append(user)
        self.rooms[room] = members

    def talk(self, seed, pace):
        """Does one thing after the other, when the pace says so."""
        rng = random.Random(seed)
        try:
            while not self.ending.is_set():
                if not pace.wait(self.ending):
                    return
                room = rng.choice(list(self.rooms))
                user = rng.choice(self.rooms[room])
                if user.server.process is None:
                    continue
                deed = rng.choice(DEEDS)
                try:
                    deed(self, rng, user, room)
                    with self.lock:
                        self.counts[deed.__name__] = self.counts.get(deed.__name__, 0) + 1
                except Refused as error:
                    if error.status >= 500 and error.status not in (502, 504):
                        self.failures.append(str(error))
                    self.refused += 1
                except ConnectionError:
                    self.broken += 1
        except Exception:
            self.failures.append(traceback.format_exc())

    def say(self, rng, user, room):
        self.newest[room] = user.say(room, "x" * int(rng.expovariate(1 / 80)))

    def state(self, rng, user, room):
        self.rooms[room][0].set_state(room, "m.room.topic", {"topic": f"{rng.random()}"})

    def come_or_go(self, rng, user, room):
        if user is self.rooms[room][0]:
            return
        if user.member(room, user.user_id) == "join":
            user.leave(room)
        else:
            user.join(room, self.rooms[room][0].server.name)

    def read(self, rng, user, room):
        if event := self.newest.get(room):
            user.post(user.room(room, f"/receipt/m.read/{quote(event)}"), {})

    def type(self, rng, user, room):
        user.put(user.room(room, f"/typing/{quote(user.user_id)}"), {"typing": True, "timeout": 5000})

    def page(self, rng, user, room):
        user.get(user.room(room, "/messages?dir=b&limit=30"))

    def redact(self, rng, user, room):
        user.redact(room, user.say(room, "soon gone"))

    def follow(self, user):
        """Somebody whose client is open all the time."""
        while not self.ending.is_set():
            try:
                user.sync(2000)
                user.timeline.clear(), user.state_seen.clear(), user.ephemeral.clear(), user.presences.clear()
            except (Refused, ConnectionError):
                self.ending.wait(1)
            except Exception:
                self.failures.append(traceback.format_exc())
                return


DEEDS = [World.say] * 12 + [World.read] * 6 + [World.type] * 3 + [World.page, World.state, World.redact, World.come_or_go]


class Pace:
    """So many turns a second, shared by threads; turns missed are made up for as long as it is no more than a second."""

    def __init__(self, rate):
        self.step, self.next, self.lock = 1 / rate, time.monotonic(), threading.Lock()

    def wait(self, ending):
        with self.lock:
            now = time.monotonic()
            self.next = max(self.next + self.step, now - 1)
            rest = self.next - now
        return rest <= 0 or not ending.wait(rest)


def timetable(count, rng):
    """When who is killed or stopped and starts again, as parts of the whole: only servers of the second half."""
    mortals = list(range(count // 2, count))
    table = [(0.05, "kill", mortals[-1])]  # for good
    if len(mortals) > 1:
        table += [(0.10, "kill", mortals[-2]), (0.60, "start", mortals[-2])]  # away for half a day
    for server in mortals[:-2]:
        at = 0.08 + rng.random() * 0.1
        while at < 0.9:
            table += [(at, rng.choice(("kill", "stop")), server), (at + 0.04, "start", server)]
            at += 0.1 + rng.random() * 0.15
    return sorted(table)


def run(world, seconds, rate):
    """The whole day; samples of memory in KiB, by server, as (time, KiB)."""
    pace, rng = Pace(rate), world.rng
    threads = [threading.Thread(target=world.talk, args=(rng.random(), pace)) for _ in range(TALKERS)]
    threads += [threading.Thread(target=world.follow, args=(users[0],)) for users in world.users]
    for thread in threads:
        thread.start()
    steady = world.servers[: len(world.servers) // 2]
    samples = {server.kind: [] for server in steady}
    table, begun, told = timetable(len(world.servers), rng), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        for server in steady:
            samples[server.kind].append((passed, server.process.memory_kib()))
        while table and table[0][0] * seconds <= passed:
            _, what, number = table.pop(0)
            getattr(world.servers[number], what)()
        if passed - told > seconds / 20:
            told = passed
            memory = " ".join(f"{values[-1][1] / 1024:.1f}" for values in samples.values())
            alive = sum(server.process is not None for server in world.servers)
            print(f"{passed / 60:5.1f} min: {sum(world.counts.values())} done, {alive} servers up, MiB {memory}", flush=True)
        time.sleep(SAMPLE_SECONDS)
    world.ending.set()
    for thread in threads:
        thread.join()
    return samples


def around(values, seconds, begin, end):
    """The median of the samples within a part of the whole time."""
    return statistics.median(kib for at, kib in values if begin * seconds <= at <= end * seconds)


def memory_stays(samples, seconds):
    grown = []
    for kind, values in samples.items():
        third, last = around(values, seconds, 0.30, 0.37), around(values, seconds, 0.95, 1.0)
        peak = max(kib for _, kib in values)
        growth = last / third - 1
        print(f"{kind}: {third / 1024:.1f} MiB at a third, {last / 1024:.1f} at the end ({growth:+.1%}), most {peak / 1024:.1f}")
        if growth > GROWTH_MAX:
            grown.append(f"{kind} {growth:+.1%}")
    assert not grown, f"memory has grown: {grown}"


def agree(world):
    """After a last word of each living server in each room, all that are in it agree."""
    for server in world.servers[:-1]:
        if server.process is None:
            server.start()
    for room, members in world.rooms.items():
        present = {}
        for user in members:
            if user.server.process is not None and user.server.kind not in present:
                if user.member(room, user.user_id) == "join":
                    user.say(room, "the end")
                    present[user.server.kind] = user
        wait_for_same_state(room, list(present.values()))
    return f"{len(world.rooms)} rooms"


def main(program):
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--rooms", type=int, default=50)
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--memory-mb", type=int, default=32)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args(sys.argv[2:])
    print(options, flush=True)
    passed, failed, servers = 0, [], []

    def step(name, act):
        nonlocal passed
        begun = time.monotonic()
        try:
            found = act()
            passed += 1
            print(f"passed: {name} ({time.monotonic() - begun:.1f} s)", flush=True)
            return found
        except Exception:
            failed.append(name)
            print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)
        return None

    with temporary_folder() as folder:
        authority = Authority(folder)
        lines = f"memory_mb = {options.memory_mb}\n"
        try:
            for number in range(options.servers):
                server = Conduit(program, folder / f"s{number}", authority, lines=lines, kind=f"server-{number}")
                server.start()
                servers.append(server)
            world = step("making rooms", lambda: World(servers, options.rooms, random.Random(options.seed)))
            seconds = options.minutes * 60
            samples = step("the day", lambda: run(world, seconds, options.rate))
            print(f"{sum(world.counts.values()) / seconds:.1f} a second: {world.counts}; {world.refused} refused, {world.broken} broken")
            step("memory", lambda: memory_stays(samples, seconds))
            step("agreement", lambda: agree(world))

            def nothing_failed():
                assert not world.failures, world.failures[:5]

            step("no failures", nothing_failed)
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
