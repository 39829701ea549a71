from program import Program, expect, plainly


def source(functions=220):
    """C++ with many templates and containers: what a large generated file looks like."""
    parts = ["#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"
             "template <int N> struct Row { int a[N % 7 + 1]; std::string s; std::map<int, std::string> m; };\n"]
    for i in range(functions):
        parts.append(f"""
long f{i}(std::vector<Row<{i}>> &rows, int n) {{
    std::sort(rows.begin(), rows.end(), [n](auto &x, auto &y) {{ return x.s + std::to_string(n) < y.s; }});
    long t = {i};
    for (auto &row : rows)
        for (auto &[k, v] : row.m)
            switch ((k + n) % 5) {{ case 0: t += v.size() * {i + 3}; break; case 1: row.s += v; break; default: t ^= t << {i % 31}; }}
    return t;
}}
""")
    return "".join(parts)


class Measured(Program):
    compiler = "g++"
    title = "g++ -O1 of a large file"
    packages = ["g++"]
    limit_mib = 512
    options = ["-O1"]
    functions = 60

    def make(self):
        self.source = f"{self.work}/large.cc"
        with open(self.source, "w") as file:
            file.write(source(self.functions))

    def run(self, box):
        made = f"{self.work}/large.o"
        box.run(self.compiler, "-std=c++17", *self.options, "-c", self.source, "-o", made)
        symbols = plainly("nm", "-C", made).decode()
        expect("functions", sum(f" T f{i}(" in symbols for i in range(self.functions)), self.functions)
