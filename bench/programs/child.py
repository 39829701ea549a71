import random

from program import LOAD, Program, expect


class Measured(Program):
    title = "Python parses a big XML file, frees it, then waits for a child that needs as much"
    packages = ["python3", "python3-lxml", "libxml2-utils"]
    limit_mib = 256

    def make(self):
        self.file = f"{self.work}/big.xml"
        rng = random.Random(2)
        with open(self.file, "w") as file:
            file.write("<r>")
            file.writelines(f'<o id="{i}" a="{"q" * rng.randrange(1, 40)}"><n>{"n" * rng.randrange(1, 99)}</n><p>{i}</p></o>'
                            for i in range(150000))
            file.write("</r>")

    def run(self, box):
        expect("answer", box.run("/usr/bin/python3", f"{LOAD}/parent.py", self.file), b"1125 kept, 149994 counted\n")
