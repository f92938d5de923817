"""A network of its own for every node."""

import os
import shutil
import subprocess


class Spaces:
    """A network namespace for every node, joined by one bridge, or by two while they are parted; none, where this machine
    allows none. Clients, on this machine, reach each node by a link of its own: also one that is cut off from the others."""

    def __init__(self, count):
        self.count, self.tag = count, f"f{os.getpid() % 10_000}"
        self.net = f"10.{77 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
        self.made = []

    @staticmethod
    def ip(*arguments, quiet=False):
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
        if done.returncode != 0 and not quiet:
            raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
        return done.returncode == 0

    def make(self):
        """Whether it worked."""
        if shutil.which("ip") is None or os.geteuid() != 0:
            return False
        try:
            self.ip("link", "add", self.tag, "type", "bridge")
            self.ip("addr", "add", f"{self.net}.1/24", "dev", self.tag)
            self.ip("link", "set", self.tag, "up")
            self.ip("link", "add", f"{self.tag}o", "type", "bridge")
            self.ip("link", "set", f"{self.tag}o", "up")
            for at in range(self.count):
                space, here, there = f"{self.tag}-{at}", f"{self.tag}h{at}", f"{self.tag}n{at}"
                self.ip("netns", "add", space)
                self.made.append(space)
                self.ip("link", "add", here, "type", "veth", "peer", "name", there)
                self.ip("link", "set", there, "netns", space)
                self.ip("link", "set", here, "master", self.tag, "up")
                self.ip("-n", space, "link", "set", "lo", "up")
                self.ip("-n", space, "addr", "add", f"{self.address(at)}/24", "dev", there)
                self.ip("-n", space, "link", "set", there, "up")
                self.link_to_clients(at, space)
            return True
        except OSError as error:
            print(f"        no network namespaces here: {error}", flush=True)
            self.remove()
            return False

    def link_to_clients(self, at, space):
        """The same two addresses, and no other, are reached by it from either end."""
        here, there = f"{self.tag}k{at}", f"{self.tag}m{at}"
        self.ip("link", "add", here, "type", "veth", "peer", "name", there)
        self.ip("link", "set", there, "netns", space)
        self.ip("link", "set", here, "up")
        self.ip("-n", space, "link", "set", there, "up")
        self.ip("route", "add", f"{self.address(at)}/32", "dev", here, "src", f"{self.net}.1")
        self.ip("-n", space, "route", "add", f"{self.net}.1/32", "dev", there, "src", self.address(at))

    def address(self, at):
        return f"{self.net}.{10 + at}"

    def cut(self, at):
        """No other node reaches it."""
        self.ip("link", "set", f"{self.tag}h{at}", "down")

    def part(self, at):
        """Of the nodes, only those that were parted as well reach it."""
        self.ip("link", "set", f"{self.tag}h{at}", "master", f"{self.tag}o")

    def join(self, at):
        self.ip("link", "set", f"{self.tag}h{at}", "master", self.tag, "up")

    def remove(self):
        for space in self.made:
            self.ip("netns", "del", space, quiet=True)
        self.ip("link", "del", self.tag, quiet=True)
        self.ip("link", "del", f"{self.tag}o", quiet=True)
        self.made = []
