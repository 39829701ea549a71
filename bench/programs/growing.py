from program import LOAD, Program, expect


class Measured(Program):
    title = "Python, a byte array, then a list that grow by small steps to 60 MiB"
    packages = ["python3"]
    limit_mib = 80

    def run(self, box):
        expect("bytes and items", box.run("/usr/bin/python3", f"{LOAD}/growing.py"), b"62914560 7864320\n")
