// JSON, buffers, worker threads, compression, a child process.
'use strict';

const crypto = require('crypto');
const zlib = require('zlib');
const { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const digest = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16);

function work(seed) {
    let state = seed + 1;
    const number = (n) => (state = (state * 48271) % 2147483647) % n;
    const list = [];
    for (let i = 0; i < 4000; i++)
        list.push({ id: i, name: 'n'.repeat(number(80)), values: Array.from({ length: number(12) }, () => number(1e6)) });
    const text = JSON.stringify(list);
    const packed = zlib.deflateSync(text, { level: 6 });
    if (JSON.stringify(JSON.parse(zlib.inflateSync(packed).toString())) !== text)
        throw new Error('not the same');
    const buffers = [];
    for (let i = 0; i < 600; i++) {
        buffers.push(Buffer.alloc(number(40000), i & 255));
        if (i % 3 === 0)
            buffers.splice(number(buffers.length), 1);
    }
    return digest(text) + digest(packed) + digest(Buffer.concat(buffers));
}

function start(seed) {
    return new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: seed });
        worker.on('message', resolve);
        worker.on('error', reject);
    });
}

async function main() {
    console.log('main', work(0));
    for (let round = 0; round < 2; round++) {
        const results = await Promise.all([1, 2, 3, 4].map(start));
        console.log('workers', round, digest(results.join()));
    }
    console.log('child', execFileSync(process.execPath, ['-p', '6 * 7']).toString().trim());
}

if (isMainThread)
    main();
else
    parentPort.postMessage(work(workerData));
