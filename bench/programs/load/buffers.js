// Native work: buffers lie outside the heap of JavaScript; zlib and crypto work on them in the thread pool.
'use strict';
const zlib = require('zlib');
const crypto = require('crypto');
const { promisify } = require('util');
const deflate = promisify(zlib.deflate), inflate = promisify(zlib.inflate), brotli = promisify(zlib.brotliCompress);

const ROUNDS = 14, BUFFERS = 24;
let state = 7;
const random = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff);

function fill(size) {
  const buffer = Buffer.allocUnsafeSlow(size);
  for (let i = 0; i < size; i += 64)
    buffer.fill(random() & 31, i, Math.min(i + 64, size));
  return buffer;
}

async function main() {
  const kept = [];
  let same = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const base = 300000 + 230000 * (round * 5 % ROUNDS);
    const buffers = Array.from({ length: BUFFERS }, (_, i) => fill(base + 9000 * i));
    same += (await Promise.all(buffers.map(async (buffer) => {
      const packed = await deflate(buffer, { level: 1, chunkSize: 1 << 18 });
      const unpacked = await inflate(packed, { chunkSize: 1 << 18 });
      kept.push(crypto.createHash('sha256').update(unpacked).digest());
      return buffer.equals(unpacked) ? 1 : 0;
    }))).reduce((a, b) => a + b);
    const joined = Buffer.concat(buffers.slice(0, 8));
    kept.push((await brotli(joined.subarray(0, 400000), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } })).subarray(0, 64));
    buffers.length = 0;
    global.gc?.();
  }
  console.log(`${ROUNDS} rounds, ${same} buffers as they were`);
}

main();
