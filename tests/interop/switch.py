"""The network between hosts that live in namespaces of their own: a program that moves IP packets between their tun
devices, late, with losses, and not at all where the network is parted. It stands in for `tc netem`, which many
kernels lack (those of small virtual machines among them).

    switch.py NAMESPACE=ADDRESS …

makes the device in each namespace, prints `ready`, and then reads a line of JSON for each change:
`{"delay_ms": 20, "jitter_ms": 5, "loss": 0.01, "parts": [[0, 1], [2]]}`: a packet passes between hosts of one part.
It answers each with a line of counts so far. It ends when its input does. Packets of one way stay in order."""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

DEVICE = "t0"
MTU = 1500
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Packets under way: more are dropped, as a router would.
PACKETS_MAX = 20_000


def tun_in(namespace):
    """A tun device in a namespace; this process stays in its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    finally:
        assert libc.setns(own, CLONE_NEWNET) == 0
        os.close(there), os.close(own)
    return device


def set_up(namespace, address):
    device = tun_in(namespace)
    commands = (
        f"address add {address}/24 dev {DEVICE}",
        f"link set {DEVICE} mtu {MTU} up",
        "link set lo up",
    )
    for command in commands:
        subprocess.run(["ip", "-n", namespace, *command.split()], check=True)
    return device


class Switch:
    def __init__(self, hosts):
        self.devices = [set_up(namespace, address) for namespace, address in hosts]
        self.hosts = {socket.inet_aton(address): number for number, (_, address) in enumerate(hosts)}
        self.waiting, self.last, self.number = [], {}, 0
        self.counts = {"moved": 0, "lost": 0, "parted": 0, "dropped": 0}
        self.set({})

    def set(self, change):
        self.delay, self.jitter = change.get("delay_ms", 0) / 1000, change.get("jitter_ms", 0) / 1000
        self.loss = change.get("loss", 0)
        parts = change.get("parts") or [list(range(len(self.devices)))]
        self.part_of = {host: number for number, part in enumerate(parts) for host in part}

    def take(self, source, now):
        """Takes what a host sends."""
        for _ in range(64):
            try:
                packet = os.read(self.devices[source], 65536)
            except BlockingIOError:
                return
            target = self.hosts.get(packet[16:20]) if packet[0] >> 4 == 4 else None
            if target is None:
                continue
            if self.part_of.get(source, -1) != self.part_of.get(target, -2):
                self.counts["parted"] += 1
            elif random.random() < self.loss:
                self.counts["lost"] += 1
            elif len(self.waiting) >= PACKETS_MAX:
                self.counts["dropped"] += 1
            else:
                due = now + self.delay + random.uniform(0, self.jitter)
                due = self.last[source, target] = max(due, self.last.get((source, target), 0))
                self.number += 1
                heapq.heappush(self.waiting, (due, self.number, target, packet))

    def give(self, now):
        """Gives what is due to whom it is for."""
        while self.waiting and self.waiting[0][0] <= now:
            _, _, target, packet = heapq.heappop(self.waiting)
            try:
                os.write(self.devices[target], packet)
                self.counts["moved"] += 1
            except OSError:
                self.counts["dropped"] += 1

    def run(self):
        poll = select.epoll()
        by_file = {device: number for number, device in enumerate(self.devices)}
        for device in self.devices:
            poll.register(device, select.EPOLLIN)
        poll.register(0, select.EPOLLIN)
        commands = b""
        while True:
            now = time.monotonic()
            self.give(now)
            rest = max(self.waiting[0][0] - now, 0) if self.waiting else None
            for file, _ in poll.poll(rest):
                if file in by_file:
                    self.take(by_file[file], time.monotonic())
                    continue
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, commands = (commands + data).split(b"\n")
                for line in lines:
                    self.set(json.loads(line))
                    print(json.dumps(self.counts), flush=True)


def main():
    switch = Switch([argument.split("=") for argument in sys.argv[1:]])
    print("ready", flush=True)
    switch.run()


if __name__ == "__main__":
    main()
