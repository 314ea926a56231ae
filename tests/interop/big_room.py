"""Joining a room of very many members that another conduit serves: how long it takes, and how much memory.

    big_room.py CONDUIT_PROGRAM [--members 50000] [--memory-mb 64]

The members are of a server of the script's own, which signs their joins and sends them to the one that serves the
room; so the one that joins verifies every signature. `memory-mb` is the
option of both: 64 is what a machine with 1 GiB gets. The program should be a release build. On loopback only."""

import argparse
import os
import sys
import time

from authority import Authority
from client import Refused, User
from fake_server import PDUS_MAX, FakeServer
from processes import show_logs, temporary_folder, wait_for
from servers import Conduit


def fill(resident, owner, sender, room, members):
    """Has the sender's users join the room."""
    place = sender.join(resident, room)
    begun = time.monotonic()
    for first in range(1, members, PDUS_MAX):
        sender.send(resident, [place.join_of(f"m{number}") for number in range(first, min(first + PDUS_MAX, members))])
        if first // PDUS_MAX % 100 == 0:
            # What is queued has an end: the sender waits for what it has sent.
            wait_for("what was sent", lambda: owner.event(room, place.last))
            print(f"{first} members after {time.monotonic() - begun:.0f} s", flush=True)
    wait_for("all members", lambda: owner.event(room, place.last))
    print(f"filled: {members / (time.monotonic() - begun):.0f} joins a second, load {os.getloadavg()[0]:.0f}", flush=True)


def join_and_speak(user, room, via):
    """Seconds until the user is in, and until it has said something; a join that goes on longer than the request is
    asked for again, as clients do."""
    begun, attempts = time.monotonic(), 0
    while True:
        attempts += 1
        try:
            user.join(room, via)
            break
        except Refused as error:
            if error.status not in (502, 503, 504, 500):
                raise
            print(f"after {time.monotonic() - begun:.1f} s: {error}", flush=True)
    joined = time.monotonic() - begun
    user.say(room, "made it")
    return joined, time.monotonic() - begun, attempts


def main(program):
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=50_000)
    parser.add_argument("--memory-mb", type=int, default=64)
    options = parser.parse_args(sys.argv[2:])
    with temporary_folder() as folder:
        authority = Authority(folder)
        lines = f"memory_mb = {options.memory_mb}\n"
        resident = Conduit(program, folder / "resident", authority, kind="resident", lines=lines)
        joining = Conduit(program, folder / "joining", authority, kind="joining", lines=lines)
        sender = FakeServer(authority)
        try:
            resident.start(), joining.start()
            owner, user = User(resident, "owner"), User(joining, "newcomer")
            room = owner.create_room("11", preset="public_chat", name="big")
            fill(resident, owner, sender, room, options.members)
            # The resident as after a restart, so that its peak is that of serving the join.
            resident.stop(), resident.start()
            before = joining.process.memory_kib(), resident.process.memory_kib()
            cpu = joining.process.cpu_seconds(), resident.process.cpu_seconds()
            joined, spoke, attempts = join_and_speak(user, room, resident.name)
            begun = time.monotonic()

            def whole():
                try:
                    return len(user.get(user.room(room, "/joined_members"))["joined"]) >= options.members + 2
                except Refused:
                    return False

            peak = joining.process.memory_kib("VmHWM"), resident.process.memory_kib("VmHWM")
            used = joining.process.cpu_seconds() - cpu[0], resident.process.cpu_seconds() - cpu[1]
            wait_for("all members", whole, every=0.2)
            later = time.monotonic() - begun
            print(f"members {options.members}, memory_mb {options.memory_mb}, load {os.getloadavg()[0]:.0f}, cores {os.cpu_count()}")
            print(f"in after {joined:.1f} s ({attempts} attempts), spoke after {spoke:.1f} s, all members known {later:.1f} s later")
            for number, name in enumerate(("joining ", "resident")):
                print(f"{name}: {before[number] / 1024:.0f} MiB before, peak {peak[number] / 1024:.0f} MiB, {used[number]:.1f} s of CPU")
            wait_for("the word at the other", lambda: owner.member(room, user.user_id) == "join")
            print("joined")
        except BaseException:
            show_logs(folder)
            raise
        finally:
            sender.close()
            for server in (resident, joining):
                server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
