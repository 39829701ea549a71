-- A cache of strings, made smaller when memory gets short. Build plimsoll.c first: see there.
--   Run:   plimsoll run -m 128Mi -- lua5.4 cache.lua
-- --no-reclaimer shows what happens without one: the kernel kills the program.

package.cpath = "./?.so;" .. package.cpath
local plimsoll = require "plimsoll"

local cache, oldest, newest, dropped = {}, 1, 0, 0

local function shrink(target)
  while target > 0 and oldest <= newest do
    target = target - #cache[oldest]
    dropped = dropped + #cache[oldest]
    cache[oldest] = nil
    oldest = oldest + 1
  end
end

-- The hook below may run shrink() between any two instructions: so the entry comes first, then newest.
local function add(value)
  cache[newest + 1] = value
  newest = newest + 1
end

if arg[1] ~= "--no-reclaimer" then
  plimsoll.reclaimer(shrink)
end
-- Adds safe points to all code, so that no long loop goes without one.
plimsoll.hook(10000)

for i = 1, 20000 do
  add(string.rep(string.char(97 + i % 26), 20000))
  plimsoll.check() -- where memory is taken: a safe point that comes in time
end
print(string.format("cached=%d dropped_mib=%d level=%d", newest - oldest + 1, dropped >> 20,
  plimsoll.level()))
