"""conduit and a real Synapse: their users do with each other all that users do, in both directions, while one of the
servers is away now and then; in the end both must tell the same state and history of every room.

    with_synapse.py CONDUIT_PROGRAM [PART_OF_A_SCENARIO'S_NAME …]

Ends with a line `N passed, N failed`. The servers listen on loopback only."""

import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import scenarios as rooms
import scenarios_people as people
from agreement import wait_for_same_history, wait_for_same_state
from authority import Authority
from client import User
from processes import show_logs, temporary_folder
from servers import Conduit, Homeserver, Synapse

NAMES = ("ada", "ben", "cat")


@dataclass
class Side:
    """A server and some users of it."""

    server: Homeserver
    users: list

    @property
    def kind(self):
        return self.server.kind


class World:
    """Both sides, and the rooms that they have in common: with a user of each side who is in."""

    def __init__(self, conduit, synapse):
        self.sides = [Side(server, [User(server, name) for name in NAMES]) for server in (conduit, synapse)]
        self.rooms = {}

    def note(self, room, *users):
        self.rooms[room] = users

    def both_ways(self):
        conduit, synapse = self.sides
        return (conduit, synapse), (synapse, conduit)


def plan(world):
    """All scenarios in order: a name and what to do."""
    for home, away in world.both_ways():
        way = f"{home.kind} -> {away.kind}"
        for version in rooms.VERSIONS:
            yield f"membership, version {version}, {way}", lambda: rooms.membership(world, home, away, version)
        yield f"invites rescinded, {way}", lambda: rooms.rescinded_invite(world, home, away)
        for version in ("10", "12"):
            yield f"knock, version {version}, {way}", lambda: rooms.knock(world, home, away, version)
            yield f"restricted, version {version}, {way}", lambda: rooms.restricted(world, home, away, version)
        yield f"upgrade 9 to 11, {way}", lambda: rooms.upgrade(world, home, away)
        yield f"upgrade 10 to 12, {way}", lambda: rooms.upgrade(world, home, away, "10", "12")
        yield f"history, {way}", lambda: people.history(world, home, away)
        yield f"receipts and typing, {way}", lambda: people.receipts_and_typing(world, home, away)
        yield f"presence, {way}", lambda: people.presence(world, home, away)
        yield f"profiles, {way}", lambda: people.profiles(world, home, away)
        yield f"directories, {way}", lambda: people.directories(world, home, away)
        yield f"devices, {way}", lambda: people.device_messages(world, home, away)
        yield f"media, {way}", lambda: people.media(world, home, away)
        yield f"conflicts, {way}", lambda: rooms.conflicts(world, home, away)
        yield f"crowd, {way}", lambda: rooms.crowd(world, home, away)
        yield f"stopped, {way}", lambda: people.left_alone(world, home, away, "stop")
        yield f"killed, {way}", lambda: people.left_alone(world, home, away, "kill")
        yield f"split, {way}", lambda: people.split(world, home, away)
    yield "encrypted, both ways", lambda: encrypted(world)
    yield "all rooms", lambda: compare_all(world)


def encrypted(world):
    """matrix-js-sdk with its Rust crypto on both servers: encrypted both ways."""
    here = Path(__file__).parent
    urls = [side.server.url for side in world.sides]
    done = subprocess.run(["bash", here / "encrypted", *urls], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "all steps passed" in done.stdout, f"{done.stdout}{done.stderr}"[-3000:]


def compare_all(world):
    """One state and one history of every room, though the servers were away meanwhile."""
    for room, users in world.rooms.items():
        wait_for_same_state(room, users)
        wait_for_same_history(room, users)
    return f"{len(world.rooms)} rooms"


def main(program, *wanted):
    started, passed, failed = time.monotonic(), 0, []
    with temporary_folder() as folder:
        authority = Authority(folder)
        conduit = Conduit(program, folder / "conduit", authority)
        synapse = Synapse(sys.executable, folder / "synapse", authority, level=os.environ.get("INTEROP_LOG", "WARNING"))
        try:
            conduit.start(), synapse.start()
            world = World(conduit, synapse)
            for name, act in plan(world):
                if wanted and not any(part in name for part in wanted):
                    continue
                for server in (conduit, synapse):
                    if server.process is None:
                        server.start()
                begun = time.monotonic()
                try:
                    found = act()
                    passed += 1
                    print(f"passed: {name} ({time.monotonic() - begun:.1f} s){f': {found}' if found else ''}", flush=True)
                except Exception:
                    failed.append(name)
                    print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)
            conduit.stop()
            if problems := conduit.check():
                failed.append("conduit check")
                print(f"FAILED: conduit check\n{problems}")
            if failed and not os.environ.get("INTEROP_QUIET"):
                show_logs(folder)
        finally:
            conduit.kill(), synapse.kill()
    print(f"took {time.monotonic() - started:.0f} s" + "".join(f"\nfailed: {name}" for name in failed))
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
