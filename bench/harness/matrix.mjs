// bench/run.sh: the whole matrix beside its yardsticks, in rounds, and docs/benchmarks.md from it. Absolute numbers do not
// travel, so each figure of ours stands beside a peer's of the same round, and ratios are medians of the ratios of the rounds.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BENCH, BINARY, ROOT, Servers, benchWithBudget, checkedWords, footprint, median } from './servers.mjs';

const words = checkedWords({ '--quick': false, '--rounds': true, '--seconds': true, '--stores': true, '--out': true, '--reports': true });
const isQuick = words.includes('--quick');
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const ROUNDS = Number(option('--rounds', isQuick ? 3 : 5));
const SECONDS = Number(option('--seconds', isQuick ? 2 : 6));
const CONNECTIONS = isQuick ? [1, 64] : [1, 8, 64, 256];
const SCENARIOS = isQuick ? ['scan', 'mixed'] : ['scan', 'lifecycle', 'mixed', 'bulk'];
const STORES = option('--stores', 'embedded,postgresql').split(',');
const OUT = option('--out', path.join(ROOT, 'docs/benchmarks.md'));
const REPORTS = option('--reports', path.join(ROOT, 'bench/reports'));
const PIPELINE = ['--connections', '4', '--pipeline', '64'];

const figures = new Map(); // name → values by round
const skipped = [];
const keep = (name, value) => { figures.set(name, [...(figures.get(name) ?? []), value]); };
const say = (text) => process.stderr.write(`${text}\n`);

async function measure(name, server, more, { reports = false } = {}) {
  const report = path.join(REPORTS, `${name.replaceAll(/[^a-z0-9]+/g, '-')}.html`);
  const told = await benchWithBudget(server, [...more, '--duration', String(SECONDS), '--warmup', '0.5', '--cards', '500', ...(reports ? ['--report', report] : [])], { allowsErrors: more.includes('--rate') });
  // A rate that is not reached shows in its percentiles; an error or a wrong answer is no measurement.
  if (told.errors > 0) throw new Error(`${name}: ${JSON.stringify(told.error_kinds)} ${told.wrong_answers.join('; ')}`);
  keep(`${name} rate`, told.rate);
  keep(`${name} p50`, told.latency_us.p50 / 1000);
  keep(`${name} p99`, told.latency_us.p99 / 1000);
  keep(`${name} p99.9`, told.latency_us.p99_9 / 1000);
  keep(`${name} cpu`, told.processor_us);
  keep(`${name} generator`, told.generator_cores);
  say(`  ${name}: ${Math.round(told.rate)}/s p50 ${(told.latency_us.p50 / 1000).toFixed(2)} p99 ${(told.latency_us.p99 / 1000).toFixed(2)} ms, generator ${told.generator_cores} cores`);
  return told;
}

// The service in the matrix is started anew for each store; what is idle meanwhile costs nothing but memory. PostgreSQL is there twice: as
// every goal means it, and with Redis (shared limits, live counts, live events) in rows of its own, so that its price is seen.
async function withRedis(servers, postgres, redis) {
  await postgres.sql('CREATE DATABASE digitalcard_redis');
  const service = await servers.service('redis', { store: postgres.url('digitalcard_redis'), redis: redis.url });
  service.beside = [postgres, redis];
  return service;
}

async function storesOf(servers, postgres) {
  const stores = {};
  for (const store of STORES) {
    try {
      if (store === 'postgresql') await postgres.sql('CREATE DATABASE digitalcard');
      stores[store] = await servers.service(store, { store: store === 'postgresql' ? postgres.url('digitalcard') : undefined });
      if (store === 'postgresql') stores[store].beside = [postgres];
    } catch (error) {
      skipped.push(`${store}: ${error.message.split('\n')[0].slice(0, 200)}`);
      say(`${store} is left out: ${error.message.slice(0, 400)}`);
    }
  }
  return stores;
}

async function round(number, servers, postgres, nginx, peers, stores, redisService) {
  say(`round ${number} of ${ROUNDS}`);
  syncDisk(servers);
  const reports = number === ROUNDS;
  keep('pgbench', await servers.pgbench(postgres, SECONDS));
  say(`  pgbench: ${Math.round(figures.get('pgbench').at(-1))}/s`);
  await measure('nginx http 64', nginx, ['http', '--connections', '64']);
  for (const connections of [1, 64]) {
    for (const [statement, peer] of Object.entries(peers)) await measure(`peer ${statement} http ${connections}`, peer, ['http', '--connections', String(connections)]);
    for (const [store, server] of Object.entries(stores)) await measure(`${store} http ${connections}`, server, ['http', '--connections', String(connections)], { reports });
  }
  for (const [store, server] of Object.entries(stores)) {
    await measure(`${store} router`, server, ['api', ...PIPELINE], { reports });
    const half = median(figures.get(`${store} http 64 rate`)) / 2;
    await measure(`${store} open`, server, ['http', '--connections', '64', '--rate', half.toFixed(0)], { reports });
  }
  if (redisService !== undefined) {
    await measure('postgresql redis http 64', redisService, ['http', '--connections', '64'], { reports });
    await measure('postgresql redis router', redisService, ['api', ...PIPELINE], { reports });
  }
}

// The physical limit beside it: how long the disk takes to keep 4 KiB, in this very round.
function syncDisk(servers) {
  const file = openSync(path.join(servers.folder, 'fdatasync'), 'w');
  const page = Buffer.alloc(4096);
  const milliseconds = [];
  for (const end = performance.now() + 1000; performance.now() < end;) {
    writeSync(file, page, 0, page.length, 0);
    const begin = performance.now();
    fdatasyncSync(file);
    milliseconds.push(performance.now() - begin);
  }
  closeSync(file);
  milliseconds.sort((one, other) => one - other);
  keep('fdatasync p50', milliseconds[milliseconds.length >> 1]);
  keep('fdatasync p99', milliseconds[Math.floor(milliseconds.length * 0.99)]);
}

// What needs no peer: once.
async function others(stores) {
  for (const [store, server] of Object.entries(stores)) {
    for (const connections of CONNECTIONS.filter((count) => count !== 1 && count !== 64)) {
      await measure(`${store} http ${connections}`, server, ['http', '--connections', String(connections)]);
    }
    for (const connections of CONNECTIONS) {
      await measure(`${store} router ${connections}`, server, ['api', '--connections', String(connections)]);
    }
    for (const scenario of SCENARIOS) {
      await measure(`${store} http ${scenario}`, server, ['http', '--connections', '64', '--scenario', scenario], { reports: true });
      await measure(`${store} router ${scenario}`, server, ['api', ...PIPELINE, '--scenario', scenario], { reports: true });
    }
    await measure(`${store} events`, server, ['http', '--connections', '16', '--scenario', 'events', '--events', server.events], { reports: true });
  }
}

async function startAndMemory(servers) {
  for (let index = 0; index < 5; index += 1) {
    const server = await servers.service(`idle-${index}`);
    keep('start', server.startMilliseconds);
    keep('idle', footprint(server.child.pid).pss / 1e6);
    await servers.end(server);
  }
}

/* --- The page --- */

const at = (name) => median(figures.get(name));
const number = (value) => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2));
function spread(name) {
  const values = figures.get(name);
  if (values === undefined) return '—';
  return values.length === 1 ? number(values[0]) : `${number(median(values))} (${number(Math.min(...values))}–${number(Math.max(...values))})`;
}
const ratios = (one, other) => figures.get(one).map((value, index) => value / figures.get(other)[index]);
const ratio = (one, other) => {
  const values = ratios(one, other);
  return { value: median(values), text: `${median(values).toFixed(2)} × (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})` };
};

const goals = [];
function goal(what, wanted, text, isMet) {
  goals.push(`| ${what} | ${wanted} | ${text} | ${isMet ? 'met' : '**missed**'} |`);
}
function judge(stores) {
  for (const [store, times] of [['postgresql', 10], ['embedded', 12]]) {
    if (!(store in stores)) continue;
    const toPeer = ratio(`${store} http 64 rate`, 'peer transaction http 64 rate');
    goal(`HTTP, ${store}, 64 connections, against the Node.js peer`, `≥ ${times} ×`, toPeer.text, toPeer.value >= times);
    if (store === 'postgresql') {
      const toRows = ratio('postgresql http 64 rate', 'pgbench');
      goal('the same against pgbench, one-row inserts, 32 clients', '≥ 1 ×', toRows.text, toRows.value >= 1);
      goal('the same, p99', '≤ 10 ms', `${spread('postgresql http 64 p99')} ms`, at('postgresql http 64 p99') <= 10);
    }
    const rows = store === 'postgresql' ? 2 : 3;
    const router = ratio(`${store} router rate`, 'pgbench');
    goal(`ROUTER, ${store}, pipelined 4 × 64, against pgbench`, `≥ ${rows} ×`, router.text, router.value >= rows);
    const one = ratio(`${store} http 1 p50`, 'peer transaction http 1 p50');
    goal(`one connection, ${store}: median against the peer's`, '≤ 0.5 ×', one.text, one.value <= 0.5);
    goal(`open-loop at half the maximum, ${store}: p99`, '≤ 5 ms', `${spread(`${store} open p99`)} ms`, at(`${store} open p99`) <= 5);
    goal(`the same: p99.9`, '≤ 20 ms', `${spread(`${store} open p99.9`)} ms`, at(`${store} open p99.9`) <= 20);
  }
  goal('start to ready, median of five', '≤ 300 ms', `${spread('start')} ms`, at('start') <= 300);
  goal('proportional memory (PSS) of the tree, idle', '≤ 64 MB', `${spread('idle')} MB`, at('idle') <= 64);
}

function version(command, ...more) {
  try { return execFileSync(command, more, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).split('\n')[0]; } catch { return 'unknown'; }
}

function page(postgres, stores, loads) {
  judge(stores);
  const rows = [...figures.keys()].filter((name) => name.endsWith(' rate')).map((name) => name.slice(0, -5));
  const cpu = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? os.arch();
  return `# Benchmarks

${Math.max(...loads) > os.cpus().length * 3 ? '**Other work kept this machine busy during these runs (see the load below): latencies are mostly those of waiting for a processor, and peers of many\nprocesses suffer more than programs of few. The processor times per request below are what can be compared; the rest is to be measured again on an\nidle machine.**\n\n' : ''}Made by \`bench/run.sh${isQuick ? ' --quick' : ''}\`; not to be edited. Service, databases, peers and load generator share the machine; absolute numbers do not
travel, so every goal that can is a ratio to a yardstick of the same round. ${ROUNDS} rounds of ${SECONDS} s each; median (least–most). Every answer was
checked, and a single wrong one or error ends the run without a page. The relay was running all the time.

- ${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores, ${cpu}, ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${os.release()}, load of the machine during the rounds ${loads.map((load) => load.toFixed(1)).join(', ')} (ours included)
- DigitalCard ${version(BINARY, 'version')} at ${version('git', '-C', process.cwd(), 'rev-parse', '--short', 'HEAD')}, preset \`release\`; PostgreSQL ${postgres.version} with fsync and synchronous_commit on, 256 MB of shared buffers; ${/v=(\S+)/.exec(version('redis-server', '--version'))?.[1] ? `Redis ${/v=(\S+)/.exec(version('redis-server', '--version'))[1]}; ` : ''}Node.js ${process.version}, ${version('nginx', '-v') === 'unknown' ? 'nginx' : 'nginx'} with one worker per core
${skipped.map((line) => `- left out: ${line}\n`).join('')}
## Goals (DESIGN 6)

| what | goal | measured | |
|---|---|---|---|
${goals.join('\n')}

Measured elsewhere: the actor runtime (\`bench/compare-actors.sh\`, [performance.md](performance.md)), first good reply after kill -9 (\`bench/chaos.sh\`).

## Yardsticks

| what | per second |
|---|---|
| pgbench, one-row prepared inserts, 32 clients, same server | ${spread('pgbench')} |
| nginx, static reply of the same size, 64 connections | ${spread('nginx http 64 rate')} |
| Node.js peer, one transaction per validation, 64 connections | ${spread('peer transaction http 64 rate')} |
| Node.js peer, all in one SQL statement, 64 connections | ${spread('peer single http 64 rate')} |
| fdatasync of 4 KiB on the same disk, ms | median ${spread('fdatasync p50')}, p99 ${spread('fdatasync p99')} |

Processor time of one validation over HTTP at 64 connections (all processes of the service or peer, PostgreSQL included, generator not), which hardly
depends on what else the machine does: ${['peer transaction', 'peer single', ...Object.keys(stores)].map((name) => `${name} ${spread(`${name} http 64 cpu`)} µs`).join(', ')}.

Against that second, better peer: ${Object.keys(stores).map((store) => `${store} ${ratio(`${store} http 64 rate`, 'peer single http 64 rate').text}`).join(', ')}.

## All figures

Store, protocol, connections or scenario (without one: \`validate\`; \`router\` alone and with a scenario: 4 connections × 64; a number: so many
connections, one request each; HTTP scenarios: 64 connections; \`open\`: open-loop at half of the rate at 64, latency from when a request was due;
\`redis\`: with \`--redis\`, its server's processor time included; all other rows without).

| run | per second | p50 ms | p99 ms | p99.9 ms | processor, µs per request | generator, cores |
|---|---|---|---|---|---|---|
${rows.map((name) => `| ${name} | ${spread(`${name} rate`)} | ${spread(`${name} p50`)} | ${spread(`${name} p99`)} | ${spread(`${name} p99.9`)} | ${spread(`${name} cpu`)} | ${number(at(`${name} generator`))} |`).join('\n')}
`;
}

const servers = new Servers();
const loads = [];
try {
  mkdirSync(REPORTS, { recursive: true });
  say(`generator ${BENCH}, data below ${servers.folder}`);
  await startAndMemory(servers);
  const postgres = await servers.postgres();
  await postgres.sql('CREATE TABLE row_of_bench (id bigserial PRIMARY KEY, card uuid, gate text, result text, at timestamptz DEFAULT now())');
  const nginx = await servers.nginx();
  const peers = { transaction: await servers.peer(postgres, 'transaction'), single: await servers.peer(postgres, 'single') };
  for (const peer of Object.values(peers)) peer.beside = [postgres];
  const stores = await storesOf(servers, postgres);
  const redisService = 'postgresql' in stores ? await withRedis(servers, postgres, await servers.redis()) : undefined;
  for (let index = 1; index <= ROUNDS; index += 1) {
    await round(index, servers, postgres, nginx, peers, stores, redisService);
    loads.push(os.loadavg()[0]);
  }
  await others(stores);
  writeFileSync(OUT, page(postgres, stores, loads));
  say(`wrote ${OUT}; reports are in ${REPORTS}`);
  console.log(goals.join('\n'));
} finally {
  await servers.stop();
}
