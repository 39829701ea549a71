from program import LOAD, Program, expect, plainly


class Measured(Program):
    title = "handover: 4 threads allocate, 4 others free; sizes and the depth of the queue change"
    packages = ["g++"]
    limit_mib = 192

    def make(self):
        plainly("g++", "-std=c++17", "-O2", "-pthread", "-o", f"{self.work}/handover", f"{LOAD}/handover.cc")

    def run(self, box):
        expect("blocks", box.run(f"{self.work}/handover").split()[-1:], [b"intact"])
