from program import LOAD, Program, expect


class Measured(Program):
    title = "Python, 6 preforked workers, each busy in turn"
    packages = ["python3", "python3-lxml"]
    limit_mib = 160

    def run(self, box):
        expect("answers", box.run("/usr/bin/python3", f"{LOAD}/prefork.py"), b"42 answers\n")
