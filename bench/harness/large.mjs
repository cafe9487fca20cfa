// A service on a data directory that `digitalcard-bench journal --fill` has filled: start to ready beside an empty one, how long the relay
// folds, memory of the tree before and after scans of cards chosen at random, and how long the first scan of each takes.
//   node bench/harness/large.mjs DIRECTORY TENANT [--scans 100000] [--clients 8] [--starts 7] [--cold] [--keep] [--store URL --empty-store URL]
// --cold drops the tenant's files from the page cache before the first scans (embedded store); --keep leaves the service running (bench/pages.mjs) until Ctrl-C.
// --store: the control database of a tenant that `store restore` put there, DIRECTORY having its master key; --empty-store: an empty database beside it.
// Must not change the directory but by what its scans add.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import http from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { BINARY, footprint, freePort, median, pause, until } from './servers.mjs';

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const [directory, tenant] = words;
const SCANS = Number(option('--scans', 100_000));
const CLIENTS = Number(option('--clients', 8));
const STARTS = Number(option('--starts', 7));
const STORE = option('--store', 'sqlite');
const EMPTY_STORE = option('--empty-store', 'sqlite');
const FILES = STORE === 'sqlite' ? [`${tenant}.db`, `${tenant}.read.db`].map((name) => path.join(directory, 'tenants', name)) : [];
if (tenant === undefined || (STORE === 'sqlite') !== (EMPTY_STORE === 'sqlite') || (STORE !== 'sqlite' && words.includes('--cold'))) {
  console.error('usage: node bench/harness/large.mjs DIRECTORY TENANT [--scans N] [--clients N] [--starts N] [--cold] [--keep] [--store URL --empty-store URL]');
  process.exit(2);
}
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
const spread = (values) => { const sorted = [...values].sort((one, other) => one - other); return `median ${median(sorted).toFixed(0)} (${sorted[0].toFixed(0)}–${sorted.at(-1).toFixed(0)})`; };
const said = (text) => console.log(`${text}   [load ${loadavg()[0].toFixed(1)}]`);

async function serve(data, store) {
  const ports = [await freePort(), await freePort(), await freePort()];
  const begin = performance.now();
  const child = spawn(BINARY, ['serve', '--data', data, '--store', store, '--http', `127.0.0.1:${ports[0]}`, '--api', `tcp://127.0.0.1:${ports[1]}`, '--events', `tcp://127.0.0.1:${ports[2]}`],
    { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => { if (/digitalcard is ready/.test(text)) resolve(); });
    ended.then((code) => reject(new Error(`the service on ${data} ended with ${code} before it was ready`)));
  });
  return { child, url: `http://127.0.0.1:${ports[0]}`, ms: performance.now() - begin, end: () => { child.kill('SIGTERM'); return ended; } };
}

async function starts(empty) {
  const times = { empty: [], filled: [] };
  for (let round = 0; round < STARTS; round += 1) {
    for (const [name, data, store] of [['empty', empty, EMPTY_STORE], ['filled', directory, STORE]]) {
      const service = await serve(data, store);
      times[name].push(service.ms);
      await service.end();
    }
  }
  said(`start to ready, ms, ${STARTS} in turn: filled ${spread(times.filled)}, empty ${spread(times.empty)}`);
}

// Ids of cards chosen at random, each once, in no order: every page of the list is read, and each card has the same chance.
async function someCards(service, token) {
  const chosen = [];
  let seen = 0;
  for (let cursor = ''; cursor !== null;) {
    const reply = await fetch(`${service.url}/${tenant}/api/v1/cards?limit=500${cursor}`, { headers: { Authorization: `Bearer ${token}` } });
    if (reply.status !== 200) throw new Error(`a page of cards: ${reply.status} ${await reply.text()}`);
    const page = await reply.json();
    for (const { id } of page.items) {
      const place = chosen.length < SCANS ? chosen.length : Math.floor(Math.random() * (seen + 1));
      if (place < SCANS) chosen[place] = id;
      seen += 1;
    }
    cursor = page.next_cursor === null ? null : `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  for (let index = chosen.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1));
    [chosen[index], chosen[other]] = [chosen[other], chosen[index]];
  }
  return chosen;
}

// The kernel forgets what it has of the files: the next read is one of the disk.
function forget() {
  for (const file of FILES) {
    execFileSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
  }
}

async function scans(service, token, cards) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const body = '{"gate":"large"}';
  const times = [];
  let next = 0;
  const scan = (card) => new Promise((resolve, reject) => {
    const begin = performance.now();
    const request = http.request(`${service.url}/${tenant}/mapi/v1/cards/${card}/validate`, { method: 'POST', agent,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'Content-Length': body.length } }, (reply) => {
      let text = '';
      reply.on('data', (part) => { text += part; });
      reply.on('end', () => {
        if (reply.statusCode !== 200 || !text.includes('"result":')) { reject(new Error(`${reply.statusCode} ${text}`)); return; }
        times.push(performance.now() - begin);
        resolve();
      });
    });
    request.on('error', reject);
    request.end(body);
  });
  const begin = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, async () => { while (next < cards.length) await scan(cards[next++]); }));
  const seconds = (performance.now() - begin) / 1000;
  agent.destroy();
  times.sort((one, other) => one - other);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(2);
  return `${cards.length} scans by ${CLIENTS} clients in ${seconds.toFixed(1)} s (${(cards.length / seconds).toFixed(0)}/s): ms median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
}

const memory = (service) => { const { pss, roles } = footprint(service.child.pid); return `${megabytes(pss)} MB (${Object.entries(roles).map(([name, role]) => `${name} ${megabytes(role.pss)}`).join(', ')})`; };

const empty = mkdtempSync(path.join(tmpdir(), 'dcb-large-'));
let service;
try {
  if (STARTS > 0) await starts(empty);
  service = await serve(directory, STORE);
  const token = execFileSync(BINARY, ['token', 'mint', '--tenant', tenant, '--role', 'tenant_admin', '--ttl', '86400', '--data', directory, '--store', STORE]).toString().trim();
  const begin = performance.now();
  const list = () => fetch(`${service.url}/${tenant}/api/v1/cards?limit=1`, { headers: { Authorization: `Bearer ${token}` } }).then((reply) => reply.status === 200, () => false);
  if (!(await list())) {
    let most = 0;
    await until(async () => { most = Math.max(most, footprint(service.child.pid).pss); await pause(1000); return list(); }, 'lists answer', 7_200_000);
    said(`lists answered ${((performance.now() - begin) / 1000).toFixed(0)} s after the start; meanwhile the tree took at most ${megabytes(most)} MB`);
  }
  for (const file of FILES) said(`${path.basename(file)} ${megabytes(statSync(file).size)} MB`);
  await pause(3000);
  said(`tree at rest ${memory(service)}`);
  const cards = await someCards(service, token);
  if (words.includes('--cold')) forget();
  said(`first: ${await scans(service, token, cards)}`);
  said(`tree afterwards ${memory(service)}`);
  said(`again: ${await scans(service, token, cards)}`);
  said(`tree afterwards ${memory(service)}`);
  if (words.includes('--keep')) {
    console.log(`node bench/pages.mjs ${service.url} ${tenant} ${token}`);
    await new Promise((resolve) => { process.once('SIGINT', resolve); process.once('SIGTERM', resolve); });
  }
} finally {
  await service?.end();
  rmSync(empty, { recursive: true, force: true });
}
