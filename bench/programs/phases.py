from program import BENCH, Program, plainly

SOURCES = f"{BENCH}/../tests/integration/programs"


class Measured(Program):
    title = "phases: 8 threads, 200 MiB live, 12 changes of block sizes"
    limit_mib = 240

    def make(self):
        plainly("gcc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", f"{self.work}/phases", f"{SOURCES}/phases.c",
                f"{SOURCES}/workload.c")

    def run(self, box):
        box.run(f"{self.work}/phases", "--verify")
