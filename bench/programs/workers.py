from program import LOAD, Program, expect


class Measured(Program):
    title = "Python, 6 processes that each replace a set of objects at full speed"
    packages = ["python3"]
    limit_mib = 112

    def run(self, box):
        expect("answer", box.run("/usr/bin/python3", f"{LOAD}/workers.py"), b"37663 objects\n")
