// bench/chaos.sh: load while roles, PostgreSQL, Redis and the membership context are killed, stopped and slowed, on a schedule from a
// seed. Tells availability, kinds of errors, and how long each fault kept a gate waiting; then checks that nothing
// acknowledged was lost, that no sequence has a gap, that after kill -9 of a role the gate had good answers in time, and `store verify`.
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { loadavg } from 'node:os';
import path from 'node:path';
import { checkAcknowledged } from './check.mjs';
import { ROOT, Servers, bench, checkedWords, median, pause, tree, until } from './servers.mjs';

const words = checkedWords({ '--seconds': true, '--seed': true, '--store': true, '--redis': false, '--rate': true, '--faults': true, '--reports': true });
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const SECONDS = Number(option('--seconds', 60));
const SEED = Number(option('--seed', Date.now() % 1_000_000));
const STORE = option('--store', 'embedded');
const RATE = option('--rate', '2000');
const ONLY = option('--faults', '').split(',').filter(Boolean); // only those with one of these texts in their name
const REPORTS = option('--reports', path.join(ROOT, 'bench/reports'));
const PARTITIONS = 4; // of the tenant, so that on PostgreSQL each shard has some
const GOAL_MS = 500; // DESIGN 6: kill -9 of any role under load until the first good reply
const FAULT_MS = [2500, 4500]; // between two faults: at most three restarts of a role in ten seconds, five end the service

let state = BigInt(SEED) + 1n;
function random(below) {
  state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
  return Number((state >> 33n) % BigInt(below));
}

// The membership context: everybody is a member, unless it is away or slow.
class Membership {
  async start() {
    this.delay = 0;
    this.server = http.createServer((request, response) => {
      const member = decodeURIComponent(request.url.split('/').pop());
      setTimeout(() => { const body = JSON.stringify({ member_id: member, status: 'active' }); response.writeHead(200, { 'Content-Type': 'application/json' }).end(body); }, this.delay);
    });
    await new Promise((resolve) => { this.server.listen(this.port ?? 0, '127.0.0.1', resolve); });
    this.port = this.server.address().port;
    return this;
  }

  stop() { this.server.closeAllConnections(); return new Promise((resolve) => { this.server.close(resolve); }); }
}

// One gate that asks every 10 ms, in turn about a card of each partition and over what connection is left: when was there an answer, and
// when not.
class Gate {
  constructor(service) {
    this.service = service;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    this.asked = []; // { begin, end, isGood, said }
    this.isOn = true;
  }

  ask() {
    const entry = { begin: performance.now(), end: null, isGood: false, said: 'good' };
    this.asked.push(entry);
    const body = '{"gate":"chaos"}';
    const card = this.cards[this.asked.length % this.cards.length];
    const request = http.request(`${this.service.url}/bench/mapi/v1/cards/${card}/validate`, { method: 'POST', agent: this.agent, timeout: 2000,
      headers: { Authorization: `Bearer ${this.service.token}`, 'Content-Type': 'application/json', 'Content-Length': body.length } }, (response) => {
      let text = '';
      response.on('data', (part) => { text += part; });
      response.on('end', () => { entry.end = performance.now(); entry.isGood = response.statusCode === 200 && text.includes('"result":"valid"'); if (!entry.isGood) entry.said = /"(?:code|reason)":"([a-z_]+)"/.exec(text)?.[1] ?? String(response.statusCode); });
    });
    request.on('timeout', () => request.destroy());
    request.on('error', (error) => { entry.end ??= performance.now(); entry.said = error.code ?? error.message; });
    request.end(body);
  }

  async run() {
    const cards = new Map();
    for (let member = 0; cards.size < PARTITIONS && member < 200; member += 1) {
      const reply = await fetch(`${this.service.url}/bench/api/v1/cards`, { method: 'POST', headers: { Authorization: `Bearer ${this.service.token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ member_id: `chaos-${member}`, expires_at: '2040-01-01T00:00:00Z', activate: true }) });
      const { id } = await reply.json();
      cards.set(Number.parseInt(id.slice(19, 21), 16) & 63, id); // six bits of each id name its partition (actors/domain/card_id.h)
    }
    this.cards = [...cards.values()];
    while (this.isOn) {
      this.ask();
      await pause(10);
    }
  }

  // From the moment of the fault until answers are good and stay so: the end of the first good answer to a question asked after the
  // last one that failed, of those asked before the next fault.
  recovery(fault, next) {
    const asked = this.asked.filter((entry) => entry.begin >= fault && entry.end <= next); // what was open then suffers from the next
    const failed = asked.filter((entry) => !entry.isGood);
    const lastFailed = failed.length === 0 ? fault : Math.max(...failed.map((entry) => entry.begin));
    const good = asked.filter((entry) => entry.begin >= lastFailed && entry.isGood).map((entry) => entry.end - fault);
    const kinds = {}; // what the gate heard instead: how often, and the first and last of the questions, in ms after the fault
    for (const { begin, said } of failed) {
      kinds[said] ??= { times: 0, first_ms: Math.round(begin - fault) };
      kinds[said].times += 1;
      kinds[said].last_ms = Math.round(begin - fault);
    }
    return { ms: good.length === 0 ? null : Math.min(...good), kinds };
  }
}

const signalAll = (pids, signal) => { for (const pid of pids) { try { process.kill(pid, signal); } catch { /* it has ended */ } } };

async function stopFor(pids, milliseconds) {
  signalAll(pids, 'SIGSTOP');
  await pause(milliseconds);
  signalAll(pids, 'SIGCONT');
}

// Every other 20 ms.
async function slow(pids, milliseconds) {
  for (const end = performance.now() + milliseconds; performance.now() < end;) {
    await stopFor(pids, 20);
    await pause(20);
  }
}

async function roles(service) {
  const { roles: all } = await until(() => service.tree().catch(() => null), 'the tree answers');
  return all.filter((role) => role.pid > 0);
}

// Each fault waits for its own end: what is killed is started again, what is stopped goes on.
function faultsOf(service, postgres, redis, membership) {
  const faults = [];
  for (const [name, signal] of [['front-0', 'SIGKILL'], ['shard-0', 'SIGKILL'], ['shard-1', 'SIGKILL'], ['relay', 'SIGKILL'], ['adapters', 'SIGKILL'], ['front-0', 'SIGSTOP'], ['shard-1', 'SIGSTOP'], ['shard-0', 'SIGSTOP']]) {
    faults.push({ name: signal === 'SIGKILL' ? `kill -9 ${name}` : `stop ${name} for 300 ms`, run: async () => {
      const role = (await roles(service)).find((one) => one.name === name);
      if (role === undefined) return 'not there';
      const at = performance.now();
      if (signal === 'SIGKILL') signalAll([role.pid], 'SIGKILL');
      else await stopFor([role.pid], 300);
      return at;
    } });
  }
  for (const name of ['front-0', 'shard-0', 'shard-1']) {
    faults.push({ name: `slow ${name} for 2 s`, run: async () => {
      const role = (await roles(service)).find((one) => one.name === name);
      if (role === undefined) return 'not there';
      const at = performance.now();
      await slow([role.pid], 2000);
      return at;
    } });
  }
  if (postgres !== undefined) {
    faults.push({ name: 'kill -9 PostgreSQL', run: async () => {
      const at = performance.now();
      postgres.child.kill('SIGKILL');
      await postgres.ended;
      await postgres.restart();
      return { at, back: performance.now() };
    } });
    faults.push({ name: 'stop PostgreSQL for 1 s', run: async () => { const at = performance.now(); await stopFor(tree(postgres.child.pid), 1000); return at; } });
    faults.push({ name: 'slow PostgreSQL for 2 s', run: async () => { const at = performance.now(); await slow(tree(postgres.child.pid), 2000); return at; } });
  }
  if (redis !== undefined) {
    faults.push({ name: 'kill -9 Redis', run: async () => { const at = performance.now(); redis.child.kill('SIGKILL'); await redis.ended; await redis.restart(); return at; } });
    faults.push({ name: 'stop Redis for 1 s', run: async () => { const at = performance.now(); await stopFor([redis.child.pid], 1000); return at; } });
    faults.push({ name: 'slow Redis for 2 s', run: async () => { const at = performance.now(); await slow([redis.child.pid], 2000); return at; } });
  }
  faults.push({ name: 'membership away for 1.5 s', run: async () => { const at = performance.now(); await membership.stop(); await pause(1500); await membership.start(); return at; } });
  faults.push({ name: 'membership slow by 3 s', run: async () => { const at = performance.now(); membership.delay = 3000; await pause(2000); membership.delay = 0; return at; } });
  return faults.filter((fault) => ONLY.length === 0 || ONLY.some((text) => fault.name.includes(text)));
}

// All once in an order from the seed, then again, until the time is over.
async function schedule(faults, end, happened) {
  let order = [];
  while (performance.now() < end) {
    if (order.length === 0) order = faults.map((fault) => ({ fault, place: random(1_000_000) })).sort((one, other) => one.place - other.place).map(({ fault }) => fault);
    await pause(FAULT_MS[0] + random(FAULT_MS[1] - FAULT_MS[0]));
    const fault = order.pop();
    const done = await fault.run();
    const when = typeof done === 'number' ? { at: done } : done;
    if (typeof when === 'object') happened.push({ name: fault.name, wall: new Date(performance.timeOrigin + when.at).toISOString(), ...when });
    process.stderr.write(`  ${fault.name}${typeof when === 'object' ? '' : `: ${when}`}\n`);
  }
}

const isOfRole = (fault) => /^kill -9 [a-z]/.test(fault);

// What each fault did to the gate, in the order of the run, with the time of day by which the log tells it.
function moments(happened, gate) {
  return happened.map((fault, index) => {
    const { ms, kinds } = gate.recovery(fault.at, happened[index + 1]?.at ?? Infinity);
    return { fault: fault.name, wall: fault.wall, recovery_ms: ms && Math.round(ms), failed: kinds, ...(fault.back ? { away_ms: Math.round(fault.back - fault.at) } : {}) };
  });
}

function table(told) {
  const names = [...new Set(told.map((moment) => moment.fault))].sort();
  return names.map((name) => {
    const own = told.filter((moment) => moment.fault === name);
    const known = own.map((moment) => moment.recovery_ms).filter((time) => time !== null);
    const away = own.map((moment) => moment.away_ms).filter((time) => time !== undefined); // a server that has to recover first
    return { fault: name, times: own.length, recovered: known.length, recovery_ms_median: known.length ? Math.round(median(known)) : null,
      recovery_ms_max: known.length ? Math.max(...known) : null, recovery_ms: own.map((moment) => moment.recovery_ms), ...(away.length > 0 ? { away_ms_median: Math.round(median(away)), away_ms_max: Math.max(...away) } : {}),
      is_late: isOfRole(name) && known.some((time) => time > GOAL_MS) };
  });
}

const servers = new Servers();
let status = 1;
try {
  mkdirSync(REPORTS, { recursive: true });
  const membership = await new Membership().start();
  const postgres = STORE === 'postgresql' ? await servers.postgres() : undefined;
  await postgres?.sql('CREATE DATABASE digitalcard');
  const redis = words.includes('--redis') ? await servers.redis() : undefined;
  const store = postgres?.url('digitalcard');
  const service = await servers.service('chaos', { store, redis: redis?.url, shards: 2, partitions: PARTITIONS, more: ['--membership-url', `http://127.0.0.1:${membership.port}`] });
  const acknowledged = path.join(servers.folder, 'acknowledged');
  const report = path.join(REPORTS, `chaos-${STORE}-${SEED}.html`);
  process.stderr.write(`chaos on ${STORE}, seed ${SEED}, ${SECONDS} s at ${RATE}/s\n`);
  const load = bench(service, ['http', '--scenario', 'mixed', '--keys', '--connections', '32', '--cards', '300', '--rate', RATE, '--duration', String(SECONDS), '--timeout', '3000',
    '--interval', '100', '--allow-errors', '--acknowledged', acknowledged, '--report', report], { allowsErrors: true });
  load.catch(() => {});
  const gate = new Gate(service);
  const asking = gate.run();
  const happened = [];
  const loads = [];
  const watching = setInterval(() => loads.push(loadavg()[0]), 2000);
  await pause(1500);
  await schedule(faultsOf(service, postgres, redis, membership), performance.now() + (SECONDS - 6) * 1000, happened);
  const told = await load;
  clearInterval(watching);
  gate.isOn = false;
  await asking;
  await until(() => gate.asked.every((entry) => entry.end !== null), 'all questions of the gate ended');
  gate.agent.destroy();
  await until(() => fetch(`${service.url}/health/ready`).then((reply) => reply.status === 200, () => false), 'the service is ready again');
  // The relay has connections of its own: the last fault may have been the database's death.
  const asked = performance.now();
  const reads = (partition) => service.command('events', 'replay', '--tenant', 'bench', '--partition', String(partition), '--count', '1').then(() => true, () => false);
  for (let partition = 0; partition < PARTITIONS; partition += 1) await until(() => reads(partition), `events of partition ${partition} can be read`, 30_000);
  process.stderr.write(`  events can be read ${(performance.now() - asked).toFixed(0)} ms after the service was ready\n`);
  const where = ['--data', service.data, ...(store ? ['--store', store] : [])];
  const checked = await checkAcknowledged(where, 'bench', acknowledged, PARTITIONS);
  const restarts = Object.fromEntries((await service.tree()).roles.map((role) => [role.name, role.restarts]));
  await servers.end(service);
  const verified = await service.command('store', 'verify', '--json').then((text) => JSON.parse(text), (error) => ({ failed: String(error.stdout || error.message) }));
  await membership.stop();
  const timeline = moments(happened, gate);
  const faults = table(timeline);
  writeFileSync(report.replace(/html$/, 'log'), service.output); // its last 500,000 characters
  const good = gate.asked.filter((entry) => entry.isGood).length;
  const load1 = loads.sort((one, other) => one - other);
  const result = { seed: SEED, load_of_machine: { median: median(load1), least: load1[0], most: load1.at(-1) }, store: STORE, seconds: SECONDS, rate_asked: Number(RATE), requests: told.requests, errors: told.errors, wrong: told.wrong, error_kinds: told.error_kinds,
    availability: told.requests > 0 ? 1 - told.errors / told.requests : 0, gate: { asked: gate.asked.length, good }, faults, moments: timeline, restarts, checked: { ...checked, problems: checked.problems.length }, verified };
  writeFileSync(report.replace(/html$/, 'json'), JSON.stringify(result, null, 2));
  console.log(`\navailability ${(result.availability * 100).toFixed(3)} % of ${told.requests} requests; a gate asking every 10 ms: ${(100 * good / gate.asked.length).toFixed(2)} % of ${gate.asked.length}`);
  console.log(`errors ${JSON.stringify(told.error_kinds)}, wrong answers ${told.wrong} ${told.wrong_answers.join('; ')}`);
  console.log('from a fault until answers are good and stay so (ms):');
  for (const fault of faults) console.log(`  ${fault.fault.padEnd(28)} ${String(fault.times).padStart(3)} ×   median ${String(fault.recovery_ms_median).padStart(5)}   max ${String(fault.recovery_ms_max).padStart(5)}${fault.away_ms_median ? `   of which it was away itself ${fault.away_ms_median}, ${fault.away_ms_max}` : ''}`);
  console.log(`journal: ${checked.events} events; ${checked.validations} acknowledged validations and ${checked.changes} changes looked up; ${checked.problems.length} problems`);
  for (const problem of checked.problems.slice(0, 20)) console.log(`  ${problem}`);
  console.log(`restarts ${JSON.stringify(restarts)}; store verify ${JSON.stringify(verified).slice(0, 300)}`);
  console.log(`report ${report}`);
  console.log(`load of the machine ${median(load1)} (${load1[0]}–${load1.at(-1)})`);
  const isLost = faults.some((fault) => fault.recovered < fault.times);
  const late = faults.filter((fault) => fault.is_late);
  for (const fault of late) console.log(`GOAL of ${GOAL_MS} ms missed: ${fault.fault}: ${fault.recovery_ms.join(' ')} ms`);
  for (const moment of timeline.filter((one) => isOfRole(one.fault) && one.recovery_ms > GOAL_MS)) console.log(`  at ${moment.wall}: the gate heard ${JSON.stringify(moment.failed)}; what the service says: ${report.replace(/html$/, 'log')}`);
  status = late.length === 0 && checked.problems.length === 0 && told.wrong === 0 && verified.failed === undefined && !isLost ? 0 : 1;
} finally {
  await servers.stop();
}
process.exit(status);
