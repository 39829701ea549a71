"""What a program of bench/programs is, and one run of it in a cgroup.

A program is a class `Measured` in a file of its own: see Program. It makes its files itself, in self.work, which
other users may read. Only what it starts through the box is in the cgroup and under the allocator."""
import importlib
import os
import pwd
import shutil
import subprocess
import sys

from cgroup import Group, Sampler

MIB = 1 << 20
BENCH = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
LOAD = f"{BENCH}/programs/load"     # scripts and sources that programs run
TIMEOUT = 120                       # seconds, where nothing ends a run earlier


class Problem(Exception):
    """The program failed, or its output is wrong."""


class Program:
    title = ""
    packages = []       # Debian packages it needs
    limit_mib = 0       # the limit at which --quick and bench/demo run it

    def __init__(self, work):
        self.work = work

    def make(self):
        """Called once: makes data, compiles sources."""

    def prepare(self):
        """Called before every run."""

    def run(self, box):
        """One run; raises Problem unless all was well and the output right."""
        raise NotImplementedError

    def after(self, box):
        """Called after every run, however it ended; servers that still ran have been killed by then."""


class Box:
    """Starts programs in a cgroup, under an allocator."""

    def __init__(self, group, allocator):
        self.group, self.allocator = group, allocator

    def start(self, *command, user=None, **options):
        return self.group.start([*as_user(user), *self.allocator.settings(), *command], **options)

    def run(self, *command, **options):
        """Runs a command to its end; returns stdout as bytes."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = self.start(*command, **options)
        out, errors = process.communicate()
        if process.returncode:
            said = (errors or b"").decode(errors="replace").strip()[-300:]
            raise Problem(said or f"{os.path.basename(command[0])} ended with {process.returncode}")
        return out


def as_user(user):
    """Words before a command that make it run as another user; for root only."""
    if user is None:
        return []
    return ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"]


def plainly(*command, **options):
    """For preparing and checking: neither in a cgroup nor under an allocator. Returns stdout as bytes."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options).stdout
    except subprocess.CalledProcessError as error:
        raise Problem(f"{command[0]}: {error.stderr.decode(errors='replace')[-500:]}") from error


def expect(what, got, wanted):
    if got != wanted:
        raise Problem(f"{what}: got {got!r:.80}, expected {wanted!r:.80}")


def names():
    files = os.listdir(f"{BENCH}/programs")
    return sorted(file[:-3] for file in files if file.endswith(".py"))


def load(name):
    if BENCH not in sys.path:
        sys.path.append(BENCH)
    return importlib.import_module(f"programs.{name}").Measured


def make(name, work):
    """A program ready for its runs, with a directory of its own in work."""
    own = f"{work}/{name}"
    shutil.rmtree(own, ignore_errors=True)
    os.mkdir(own)
    os.chmod(own, 0o755)
    program = load(name)(own)
    program.make()
    return program


def run_once(program, allocator, limit_mib, options, timeout=TIMEOUT, watch=None):
    """One run in a cgroup of its own; limit_mib None for no limit. Returns what happened."""
    problem = None
    program.prepare()
    with Group(options.cgroup_prefix, options.cgroup_version, (limit_mib or 0) * MIB) as group:
        box = Box(group, allocator)
        with Sampler(group, allocator.library, timeout, watch) as sampler:
            try:
                program.run(box)
            except (Problem, OSError, EOFError) as error:
                problem = str(error) or type(error).__name__
        peak = group.peak() or max((usage for _, usage in sampler.samples), default=0)
        group.kill_all()
        program.after(box)
    if problem is None and not sampler.loaded:
        sys.exit(f"{program.title}: {allocator.library} was not loaded into it")
    outcome = "killed" if sampler.killed_at is not None else "late" if sampler.late else "failed" if problem else "survived"
    return {"limit_mib": limit_mib, "outcome": outcome, "problem": problem, "killed_at": sampler.killed_at,
            "peak_mib": peak / MIB, "seconds": sampler.seconds,
            "samples": [(round(t, 3), round(usage / MIB, 2)) for t, usage in sampler.samples]}
