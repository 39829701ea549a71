"""PostgreSQL as packaged, with the pooled connections of bench/programs/postgres.py."""

import os
import subprocess
import sys

from tap import ROOT

from waiting import wait_until

sys.path += [os.path.join(ROOT, "bench/lib"), os.path.join(ROOT, "bench")]
# pylint: disable=wrong-import-position
from program import Problem
from programs import postgres


class Pooled(postgres.Measured):
    """Its clients run in the Debian root, but outside the container that has the server."""

    def __init__(self, root):
        super().__init__(None)
        self.root = root

    def configure(self):
        with open(self.root.at("/etc/postgresql/15/main/conf.d/pooled.conf"), "w", encoding="utf-8") as file:
            for name, value in self.settings.items():
                file.write(f"{name} = '{value}'\n")

    def connect(self):
        return subprocess.Popen(
            self.root.command("psql", "-qAtX", "postgres", user="postgres"), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def one_more(self):
        """A connection that has run a query, and stays open."""
        client = self.connect()
        postgres.ask(client, *self.queries[0])
        return client

    def ready(self):
        done = subprocess.run(self.root.command("pg_isready", "-q", user="postgres"), check=False)
        return done.returncode == 0

    def served_by(self, container):
        """Runs the load on it; returns whether every query was answered correctly."""
        wait_until("the server answers or is gone", lambda: self.ready() or not container.is_running())
        if not container.is_running():
            raise AssertionError(f"the server did not start: {container.said()}")
        try:
            self.load()
        except (Problem, OSError) as error:
            print(f"# {error}")
            return False
        return True
