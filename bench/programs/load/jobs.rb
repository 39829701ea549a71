# Jobs for a pool of threads: parse a document, build a report of it as a string, keep a little.
require 'json'
require 'nokogiri'

random = Random.new(11)
documents = (0..4).map do |k|
  rows = (0...(2400 + 900 * k)).map do |i|
    "<o id='#{i}'><n>#{'a' * random.rand(5..200)}</n><p>#{random.rand(10**6)}</p></o>"
  end
  "<r>#{rows.join}</r>"
end
jobs, done, slots = Queue.new, Queue.new, SizedQueue.new(3)
30.times { |job| jobs << job }
jobs.close
threads = 25.times.map do
  Thread.new do
    while (job = jobs.pop)
      slots << 1
      rows = Nokogiri::XML(documents[job % 5]).xpath('//o').map do |o|
        { id: o['id'], n: o.at('n').text, p: o.at('p').text.to_i }
      end
      text = JSON.generate(rows)
      counts = rows.group_by { |row| row[:p] % 100 }.transform_values(&:size)
      done << [JSON.parse(text).size, counts, text[0, 2000]]
      rows = text = nil
      slots.pop
    end
  end
end
threads.each(&:join)
puts "#{done.size} jobs, #{done.size.times.sum { done.pop[0] }} rows"
