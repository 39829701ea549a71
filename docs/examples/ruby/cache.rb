# A cache of strings, made smaller when memory gets short.
#   Run:   plimsoll run -m 160Mi -- ruby cache.rb
# --no-reclaimer shows what happens without one: the kernel kills the program.
require_relative "plimsoll"

cache = []
dropped = 0
unless ARGV.include?("--no-reclaimer")
  Plimsoll.reclaimer do |target|
    until target <= 0 || cache.empty?
      oldest = cache.shift
      target -= oldest.bytesize
      dropped += oldest.bytesize
    end
  end
end

20_000.times do |i|
  cache << (97 + i % 26).chr * 20_000
  Plimsoll.check # where memory is taken: in time, whatever other threads do
end
puts "cached=#{cache.size} dropped_mib=#{dropped >> 20} level=#{Plimsoll.level}"
