# Strings, hashes, threads, forks, and a heap that is compacted.
require 'digest'
require 'json'

def digest(value)
  Digest::SHA256.hexdigest(value.to_s)[0, 16]
end

def work(seed)
  rng = Random.new(seed)
  items = Array.new(3000) do |i|
    { 'id' => i, 'name' => 'n' * rng.rand(80), 'values' => Array.new(rng.rand(12)) { rng.rand(1_000_000) } }
  end
  text = JSON.generate(items)
  raise 'not the same' unless JSON.generate(JSON.parse(text)) == text
  counts = Hash.new(0)
  text.scan(/\d+/) { |number| counts[number] += 1 }
  digest(text + counts.sort.to_s)
end

puts "main #{work(0)}"
puts "threads #{digest((1..6).map { |i| Thread.new { work(i) } }.map(&:value))}"
GC.start
GC.compact if GC.respond_to?(:compact)
4.times do |i|
  from, to = IO.pipe
  pid = fork do
    to.write(work(100 + i))
    to.close
    exit!(0)
  end
  to.close
  puts "child #{from.read}"
  Process.wait(pid)
  raise 'child failed' unless $?.success?
end
