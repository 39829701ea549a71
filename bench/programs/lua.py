from program import LOAD, Program, expect


class Measured(Program):
    title = "Lua, tables of strings of changing sizes"
    packages = ["lua5.4"]
    limit_mib = 128

    def run(self, box):
        expect("rounds", box.run("lua5.4", f"{LOAD}/strings.lua"), b"10\n")
