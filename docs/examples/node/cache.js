// A cache of buffers, made smaller when memory gets short. Node itself, and no addon.
//   Run:   PLIMSOLL_NOTIFY=systemd plimsoll run -m 192Mi -- node cache.js
// Takes --no-reclaimer, to see what happens without: the kernel kills it.
//
// Buffers are in malloc memory, which Plimsoll governs; objects and strings are in V8's own heap,
// which it sees in the usage only: give that a share of the limit with --max-old-space-size.
//
// With PLIMSOLL_NOTIFY=systemd the variable MEMORY_PRESSURE_WATCH names a pipe, from which a byte can
// be read whenever memory is short; the same holds under systemd. The byte is an event like any other:
// a long stretch of code without a turn of the event loop hears of nothing.
'use strict';
const fs = require('fs');
const net = require('net');
const v8 = require('v8');
const vm = require('vm');

// Calls back for as long as memory is short, about once a second. Returns whether it ever will.
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

// Dropping a buffer frees nothing before V8 collects, and V8 does not know the limit.
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

const cache = new Map(); // oldest first
let dropped = 0;

// Nobody says how much is wanted: a quarter, and a quarter of the rest if that was not enough.
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
