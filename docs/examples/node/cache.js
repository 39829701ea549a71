// A cache of buffers, made smaller when memory gets short. Needs no addon.
//   Run:   PLIMSOLL_NOTIFY=systemd plimsoll run -m 192Mi -- node cache.js
// --no-reclaimer shows what happens without one: the kernel kills the program.
//
// Buffers are in malloc memory, which Plimsoll governs. Objects and strings are in V8's own heap,
// which it sees in the usage only: give that heap a share of the limit with --max-old-space-size.
//
// With PLIMSOLL_NOTIFY=systemd the variable MEMORY_PRESSURE_WATCH names a pipe, from which a byte can
// be read whenever memory is short; the same holds under systemd. The byte is an event like any other:
// while code runs for long without returning to the event loop, nothing is noticed.
'use strict';
const fs = require('fs');
const net = require('net');
const v8 = require('v8');
const vm = require('vm');

// Calls back about once a second while memory is short. Returns false if it never will.
function onPressure(callback) {
  const path = process.env.MEMORY_PRESSURE_WATCH;
  if (!path || !fs.statSync(path, {throwIfNoEntry: false})?.isFIFO())
    return false;
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const pipe = new net.Socket({fd, readable: true, writable: false});
  pipe.on('data', callback);
  pipe.unref(); // does not keep the program running
  return true;
}

// A dropped buffer is not free before V8 collects garbage, and V8 does not know the limit.
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

const cache = new Map(); // oldest first
let dropped = 0;

// The pipe does not tell how much is wanted: each call drops a quarter of what is there.
function shrink() {
  let count = Math.ceil(cache.size / 4);
  for (const [key, value] of cache) {
    if (count-- === 0)
      break;
    dropped += value.length;
    cache.delete(key);
  }
  collect();
}

if (!process.argv.includes('--no-reclaimer') && !onPressure(shrink))
  console.error('nobody tells of memory pressure');

// Fills the cache in small steps, each a turn of the event loop.
let next = 0;
function step() {
  for (let i = 0; i < 10; i++)
    cache.set(next++, Buffer.alloc(20000, 'x'));
  if (next < 20000)
    setTimeout(step, 1);
  else
    console.log(`cached=${cache.size} dropped_mib=${dropped >> 20}`);
}
step();
