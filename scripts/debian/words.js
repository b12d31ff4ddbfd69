// SPDX-License-Identifier: GPL-2.0
'use strict';

// As many workers as there are CPUs compute, and the thread pool compresses meanwhile.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const os = require('os');
const zlib = require('zlib');

// work() counts the words of a made-up text, and digests them in alphabetic order.
function work(piece) {
  const count = new Map();
  let state = piece + 1;
  for (let i = 0; i < 20000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const word = String(state >>> 20);
    count.set(word, (count.get(word) || 0) + 1);
  }
  const hash = crypto.createHash('sha256');
  for (const word of [...count.keys()].sort())
    hash.update(`${word} ${count.get(word)}\n`);
  return hash.digest('hex');
}

function compress(piece) {
  const text = Buffer.alloc(100000, work(piece));
  for (let i = 0; i < text.length; i += 7)
    text[i] = (i * piece) >> 3;
  return new Promise((resolve, reject) => {
    zlib.deflate(text, (error, data) =>
      error ? reject(error)
            : resolve(crypto.createHash('sha256').update(data).digest('hex')));
  });
}

function inWorker(pieces) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: pieces });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

async function main(pieces) {
  const workers = os.cpus().length;
  const mine = Array.from({ length: pieces }, (_, i) => i);
  const jobs = [];
  for (let w = 0; w < workers; w++)
    jobs.push(inWorker(mine.filter((i) => i % workers === w)));
  const results = [...(await Promise.all(jobs)).flat().sort(),
                   ...await Promise.all(mine.map(compress))];
  console.log(crypto.createHash('sha256').update(results.join()).digest('hex'));
}

if (isMainThread)
  main(Number(process.argv[2]));
else
  parentPort.postMessage(workerData.map(work));
