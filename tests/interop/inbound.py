"""How many events of another server a second are taken in, with all checks: by conduit and by Synapse, in turns, from
the same sender; in one room, and in a hundred.

    inbound.py CONDUIT_PROGRAM [--rounds 3] [--events 2000]

The clock runs from the first transaction until a client of the server can read the last event of every room. The
programs should be release builds. Ends with a table. On loopback only."""

import argparse
import os
import statistics
import sys
import time

from authority import Authority
from client import User
from fake_server import PDUS_MAX, FakeServer, event_id
from processes import show_logs, temporary_folder, wait_for
from servers import Conduit, Synapse

# How many transactions beyond one are sent before all events of the first can be read.
UNDER_WAY = 1


def measure(target, user, sender, rooms, events):
    """Events a second, and the server's processor time per event in milliseconds."""
    places = []
    for number in range(rooms):
        room = user.create_room("11", preset="public_chat", name=f"inbound {number}")
        places.append(sender.join(target, room))
    for place in places:
        wait_for("the sender is in", lambda: user.member(place.room, place.user) == "join")
    pdus = [places[number % rooms].message(f"event {number}") for number in range(events)]
    cpu, begun = target.process.cpu_seconds(), time.monotonic()
    sent = []
    for first in range(0, events, PDUS_MAX):
        sender.send(target, pdus[first : first + PDUS_MAX])
        sent.append(pdus[min(first + PDUS_MAX, events) - 1])
        # Of a longer queue Synapse drops what it could ask for again.
        if len(sent) > UNDER_WAY:
            done = sent[-UNDER_WAY - 1]
            wait_for("an earlier transaction", lambda: user.event(done["room_id"], event_id(done)), every=0.005)
    for place in places:
        wait_for("the last event of each room", lambda: user.event(place.room, place.last), every=0.01)
    seconds = time.monotonic() - begun
    return events / seconds, (target.process.cpu_seconds() - cpu) / events * 1000


def main(program):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=2000)
    options = parser.parse_args(sys.argv[2:])
    results = {}
    with temporary_folder() as folder:
        authority = Authority(folder)
        servers = Conduit(program, folder / "conduit", authority), Synapse(sys.executable, folder / "synapse", authority, level=os.environ.get("INTEROP_LOG", "WARNING"))
        sender = FakeServer(authority)
        try:
            users = []
            for server in servers:
                server.start()
                users.append(User(server, "reader"))
            for number in range(options.rounds):
                for rooms in (1, 100):
                    for server, user in zip(servers, users):
                        found = measure(server, user, sender, rooms, options.events)
                        results.setdefault((rooms, server.kind), []).append(found)
                        load = os.getloadavg()[0]
                        print(f"round {number + 1}, {rooms} rooms, {server.kind}: {found[0]:.0f} a second, {found[1]:.2f} ms of CPU each (load {load:.0f})", flush=True)
        except BaseException:
            show_logs(folder)
            raise
        finally:
            sender.close()
            for server in servers:
                server.kill()
    for rooms in (1, 100):
        pairs = [statistics.median(ours[0] / theirs[0] for ours, theirs in zip(results[rooms, "conduit"], results[rooms, "synapse"]))]
        for kind in ("conduit", "synapse"):
            rate = statistics.median(found[0] for found in results[rooms, kind])
            cpu = statistics.median(found[1] for found in results[rooms, kind])
            print(f"{rooms:3} rooms  {kind:8}  {rate:8.0f} events/s  {cpu:6.2f} ms CPU/event")
        print(f"{rooms:3} rooms  conduit/synapse {pairs[0]:.1f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
