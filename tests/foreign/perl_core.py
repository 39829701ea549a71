"""Perl's own tests, from its source package, run by the packaged perl with its packaged modules."""

import glob
import os
import re
import shutil
import subprocess

import sources
from suite import Case, Suite

PACKAGE = "perl"
PERL = "/usr/bin/perl"
# Directories below t/, and lib/: tests of perl's own C code, not of the modules'.
CORE = ["base", "cmd", "comp", "io", "lib", "mro", "op", "opbasic", "re", "run", "uni",
        "../lib", "../lib/*"]
# Modules for threads, and modules with C code.
MODULES = ["dist/threads", "dist/threads-shared", "dist/Thread-Queue", "dist/Thread-Semaphore",
           "dist/Storable", "dist/Data-Dumper", "cpan/Scalar-List-Utils", "cpan/Compress-Raw-Zlib",
           "cpan/Digest-SHA", "cpan/Encode", "ext/POSIX", "ext/PerlIO-scalar",
           "ext/PerlIO-encoding", "ext/Hash-Util"]
LEFT_OUT = {
    r"re/uniprops\d+\.t": "the tables of Unicode's properties, generated: minutes of CPU time each",
    r"re/fold_grind_\w+\.t": "the tables of letters' cases: minutes of CPU time each",
    r"\.\./lib/Benchmark\.t": "measures CPU time for two minutes",
}
SUBSET = [
    "op/array", "op/hash", "op/sprintf", "op/sort", "op/split", "op/substr", "op/push", "op/splice",
    "op/threads", "op/fork", "op/exec", "op/closure", "op/local", "op/tie", "op/each", "op/grep",
    "op/join", "op/repeat", "op/vec", "op/pack", "op/gv", "op/method", "op/eval", "op/die",
    "op/chop",
    "op/heredoc", "op/magic", "op/undef", "op/svleak", "op/attrs", "re/pat", "re/subst", "re/qr",
    "re/reg_eval", "re/regexp", "io/open", "io/dup", "io/utf8", "mro/basic", "uni/lower",
    "dist/threads/t/basic", "dist/threads/t/stress_cv", "dist/threads/t/stress_re",
    "dist/threads/t/free", "dist/threads/t/join", "dist/threads-shared/t/shared_base",
    "dist/threads-shared/t/object", "dist/Thread-Queue/t/02_refs",
]
# How t/TEST starts the tests: in which directory, and with what TestInit.pm sets up.
PLAIN_DIRECTORIES = {"base", "comp", "run"}
ABSOLUTE = {"cpan/Encode"}
NOT_CORE = {"cpan/Compress-Raw-Zlib"}
TAINT = re.compile(rb"#!.*\bperl.*\s-\w*([tT])")
# As under t/TEST: all is freed at the end, all symbols are bound at once. The seed is for
# lib/charnames.t, which picks at random.
ENV = {"PERL_DESTRUCT_LEVEL": "2", "PERL_DL_NONLAZY": "1", "PERL_TEST_CHARNAMES_SEED": "1"}


def prepare(args):
    """Makes a tree of our own, as tests write into it; returns (its path, version)"""
    tree, version = sources.unpacked(PACKAGE, args.build)
    own = f"{args.build}/tests/foreign/perl"
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(tree, own, symlinks=True)
    told = subprocess.run([PERL, "-MConfig", "-e", "print qq(@Config{qw(privlibexp archlibexp)})"],
                          check=True, capture_output=True, text=True)
    for directory in told.stdout.split() + glob.glob("/usr/lib/*/perl-base"):
        shutil.copytree(directory, f"{own}/lib", dirs_exist_ok=True)
    for link in ("perl", "t/perl"):
        os.symlink(PERL, f"{own}/{link}")
    return own, version


def case_of(own, test):
    """test: its path relative to t/"""
    directory = os.path.dirname(test)
    module = re.match(r"\.\./((?:cpan|dist|ext)/[^/]+)/(.*)", test)
    if module:
        where, test_there, perl = f"{own}/{module[1]}", module[2], "../../t/perl"
        set_up = ["-I../..", "-MTestInit=U2T" + (",A" if module[1] in ABSOLUTE else "") +
                  (",NC" if module[1] in NOT_CORE else "")]
    else:
        where, test_there, perl = f"{own}/t", test, "./perl"
        set_up = ["-I..", "-MTestInit" + ("=U1" if directory.startswith("../lib") else "")]
        if directory in PLAIN_DIRECTORIES:
            set_up = []
    with open(f"{own}/t/{test}", "rb") as file:
        taint = TAINT.match(file.readline())
    switches = set_up + ([f"-{taint[1].decode()}"] if taint else [])
    name = test.removeprefix("../").removesuffix(".t")
    return Case(name, ["env", "-C", where, perl, *switches, test_there], "numbered tap", ENV)


def tests(own):
    directories = CORE + [f"../{module}/t" for module in MODULES]
    for directory in directories:
        for path in sorted(glob.glob(f"{own}/t/{directory}/*.t")):
            test = os.path.normpath(os.path.relpath(path, f"{own}/t"))
            if not any(re.fullmatch(pattern, test) for pattern in LEFT_OUT):
                yield test


def perl(args):
    try:
        own, version = prepare(args)
    except sources.Missing as reason:
        return Suite("perl", PACKAGE, [], missing=str(reason))
    cases = [case_of(own, test) for test in tests(own)]
    if not args.all:
        cases = [case for case in cases if case.name in SUBSET]
    return Suite("perl", PACKAGE, cases, sources.note(PACKAGE, version))
