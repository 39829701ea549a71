# Plimsoll from Ruby, by fiddle: copy this file next to yours.
#
#   require_relative "plimsoll"
#   Plimsoll.reclaimer { |target| cache.shrink(target) }
#   Plimsoll.check      # now and then, where your program takes memory
#
# Works where the library is preloaded (plimsoll run, or LD_PRELOAD); elsewhere the blocks are never
# called.
#
# A callback of the library's would come on a thread that Ruby does not know. So there are two other
# ways: check runs the blocks on the thread that calls it; and a thread of Ruby's listens to the
# pressure fd, for a program that is idle or waits. Only one thread runs Ruby code at a time, for up
# to 100 ms, and while one waits in malloc for room, no other does. So code that takes memory fast
# needs check.
require "fiddle"
require "io/wait"

module Plimsoll
  NORMAL, LOW, MEDIUM, CRITICAL = *0..3
  # struct plim_limits: size, version, cpus, hard, high, soft; not its path.
  LIMITS = ["L!L2Q3", 40].freeze
  # struct plim_stats: size, level, cannot meet, usage, committed, active; not the rest.
  STATS = ["L!L2Q3", 40].freeze
  SHORT_WAIT, LONG_WAIT = 0.02, 5 # seconds between two looks while memory stays short

  @blocks = []
  @turn = Mutex.new
  @functions = Hash.new do |known, name|
    arguments = %w[plim_level plim_pressure_fd].include?(name) ? [] : [Fiddle::TYPE_VOIDP]
    known[name] = Fiddle::Function.new(Fiddle::Handle::DEFAULT[name], arguments, Fiddle::TYPE_INT)
  end

  class << self
    def present?
      Fiddle::Handle::DEFAULT["plim_level"] != 0
    rescue Fiddle::DLError
      false
    end

    def level
      @present = present? if @present.nil?
      @present ? @functions["plim_level"].call : NORMAL
    end

    # The block gets the bytes that are wanted. Returns whether it will be called.
    def reclaimer(&block)
      @blocks << block
      return false unless present?

      listen unless @thread&.alive?
      !@thread.nil?
    end

    # Runs the blocks, and Ruby's collector, if memory is short.
    def check
      return if level < MEDIUM || !@turn.try_lock # or another thread runs the blocks

      begin
        target = wanted
        return if target <= 0

        @blocks.each { |block| block.call(target) }
        GC.start # dropping a reference frees nothing in Ruby
        target
      ensure
        @turn.unlock
      end
    end

    private

    def filled(name, (layout, size))
      memory = [size].pack("L!").ljust(size, "\0")
      @functions[name].call(memory).zero? ? memory.unpack(layout) : nil
    end

    # Bytes above the soft limit, not counting free pages, and 5 % more: room to go on with.
    def wanted
      limits = filled("plim_limits", LIMITS) # brings the figures up to date, so it comes first
      stats = filled("plim_stats", STATS)
      return 0 unless limits && stats

      soft, (usage, committed, active) = limits[5], stats[3, 3]
      above = usage - (committed - active) - soft
      above.positive? ? above + soft / 20 : 0
    end

    # The fd tells when the level changes. While it stays high, the thread checks from time to time.
    def listen
      fd = @functions["plim_pressure_fd"].call
      return if fd == -Errno::ENOSYS::Errno # PLIMSOLL=off

      raise SystemCallError.new("plim_pressure_fd", -fd) if fd.negative?

      io = IO.for_fd(fd, autoclose: false) # the library owns it
      @thread = Thread.new do
        wait = nil
        loop do
          wait = SHORT_WAIT if io.wait_readable(wait) && io.read_nonblock(8, exception: false)
          check
          wait = level < MEDIUM ? nil : [2 * (wait || SHORT_WAIT), LONG_WAIT].min
        end
      end
    end
  end
end
