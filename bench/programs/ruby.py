from program import LOAD, Program, expect


class Measured(Program):
    title = "Ruby, 25 threads with Nokogiri and JSON, 3 jobs at a time"
    packages = ["ruby", "ruby-nokogiri"]
    limit_mib = 96

    def run(self, box):
        expect("jobs", box.run("ruby", f"{LOAD}/jobs.rb"), b"20 jobs, 84000 rows\n")
