from program import LOAD, Program, expect


class Measured(Program):
    title = "Ruby, 25 threads with Nokogiri and JSON, 3 jobs at a time"
    packages = ["ruby", "ruby-nokogiri"]
    limit_mib = 128

    def run(self, box):
        expect("jobs", box.run("ruby", f"{LOAD}/jobs.rb"), b"30 jobs, 126000 rows\n")
