// Many tenants on one PostgreSQL with few connections: a fresh server and service, TENANTS tenants with a card each, then
// closed-loop scans of which 90 % go to the 5 % busy tenants. Says what creating cost, rate and latency of the busy and of
// the rare ones, refusals, connections, memory and disk; checks that every scan that was acknowledged is in its card's
// history, once, that no tenant got nothing, and that every answer came within its deadline.
// Usage: node bench/tenants.mjs [--tenants N] [--connections N] [--seconds S] [--workers N] [--directory DIR] [--settled]
// DIR keeps server and tenants for the next run, since making a thousand databases takes minutes. --settled: begins when
// shard and relay have looked at every tenant once, as they do after a start; else that is part of the load.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Postgres } from '../tests/end_to_end/postgres.mjs';
import { Service, until } from '../tests/end_to_end/service.mjs';

const { values } = parseArgs({ options: {
  tenants: { type: 'string', default: '1000' }, connections: { type: 'string', default: '64' },
  seconds: { type: 'string', default: '30' }, workers: { type: 'string', default: '64' }, directory: { type: 'string' }, settled: { type: 'boolean', default: false } } });
const TENANTS = Number(values.tenants);
const CONNECTIONS = Number(values.connections);
const SECONDS = Number(values.seconds);
const WORKERS = Number(values.workers);
const BUSY = Math.max(1, Math.round(TENANTS * 0.05));
const DEADLINE_MS = 5_000;
const PATIENCE_MS = 60_000; // after the load, for what is still without an answer
const RUN = `run-${Date.now()}`; // the gate of this run's scans, and part of their keys

const percentile = (sorted, share) => (sorted.length === 0 ? null : Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] * 10) / 10);
const summary = (list) => {
  const sorted = list.toSorted((a, b) => a - b);
  return { answers: sorted.length, p50_ms: percentile(sorted, 0.5), p99_ms: percentile(sorted, 0.99), max_ms: percentile(sorted, 1) };
};

async function inParallel(count, items, work) {
  const pending = [...items].reverse();
  await Promise.all(Array.from({ length: count }, async () => {
    for (let item = pending.pop(); item !== undefined; item = pending.pop()) await work(item);
  }));
}

async function untilAnswered(send, wanted, patience) {
  const end = Date.now() + patience;
  for (;;) {
    const reply = await send();
    if (reply.status === wanted) return reply;
    if (reply.status !== 503 && reply.status !== 404 && reply.status !== 409) throw new Error(`${reply.status} ${reply.raw}`);
    if (Date.now() > end) throw new Error(`no answer within ${patience} ms: ${reply.status} ${reply.raw}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const diskOf = (server) => Number(execFileSync('du', ['-sk', `${server.directory}/data/base`]).toString().split('\t')[0]);

function ticksOf(pid) { // of processor, with those of ended children; nothing of one that has ended
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').map(Number);
    return { own: fields[11] + fields[12], children: fields[13] + fields[14] };
  } catch {
    return { own: 0, children: 0 };
  }
}

function processorOf(pids, postgres) {
  const sum = (list) => list.reduce((total, pid) => total + ticksOf(pid).own, 0);
  const backends = readFileSync(`/proc/${postgres}/task/${postgres}/children`, 'utf8').trim().split(' ').map(Number);
  const server = ticksOf(postgres);
  return { ...Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, ticksOf(pid).own])),
    server: server.own + server.children + sum(backends) };
}

const residentOf = (pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;

async function createTenants(service, tenants) {
  const took = [];
  const started = performance.now();
  await inParallel(4, tenants, async ({ name }) => { // shard 0 makes one after the other
    const begun = performance.now();
    await service.command('tenant', 'create', name);
    took.push(performance.now() - begun);
  });
  return { ...summary(took), each_ms: Math.round((performance.now() - started) / tenants.length) };
}

async function load(service, token, tenants, agent) {
  const latencies = { busy: [], rare: [] };
  const refused = { busy: 0, rare: 0 };
  let late = 0;
  const started = Date.now();
  const end = started + SECONDS * 1000;
  await Promise.all(Array.from({ length: WORKERS }, async () => {
    while (Date.now() < end) {
      const isBusy = Math.random() < 0.9;
      const tenant = isBusy ? tenants[Math.floor(Math.random() * BUSY)] : tenants[BUSY + Math.floor(Math.random() * (TENANTS - BUSY))];
      const kind = isBusy ? 'busy' : 'rare';
      const key = `${RUN}-${tenant.asked}`;
      tenant.asked += 1;
      await untilAnswered(async () => {
        const sent = performance.now();
        const reply = await service.request('POST', `/${tenant.name}/mapi/v1/scans`, { token, agent, headers: { 'Idempotency-Key': key },
          body: { qr: tenant.qr, gate: RUN } });
        const took = performance.now() - sent;
        late += took > DEADLINE_MS + 500 ? 1 : 0;
        if (reply.status === 200) latencies[kind].push(took); else refused[kind] += 1;
        return reply;
      }, 200, PATIENCE_MS);
      tenant.acknowledged += 1;
    }
  }));
  const seconds = (Date.now() - started) / 1000;
  return { seconds, rate: Math.round((latencies.busy.length + latencies.rare.length) / seconds), busy: { ...summary(latencies.busy), refused_503: refused.busy },
    rare: { ...summary(latencies.rare), refused_503: refused.rare }, answers_after_their_deadline: late };
}

async function check(service, token, tenants, agent) {
  let lost = 0;
  let doubled = 0;
  await inParallel(8, tenants.filter((tenant) => tenant.asked > 0), async (tenant) => {
    let validated = 0;
    for (let cursor = ''; cursor !== null;) {
      const page = (await untilAnswered(() => service.request('GET', `/${tenant.name}/api/v1/cards/${tenant.card}/history?limit=500${cursor}`,
        { token, agent }), 200, PATIENCE_MS)).body;
      const ours = page.items.filter((item) => item.name === 'CardValidated' && item.data.gate === RUN).length;
      validated += ours;
      cursor = page.next_cursor === null || ours === 0 ? null : `&cursor=${encodeURIComponent(page.next_cursor)}`;
    }
    lost += Math.max(0, tenant.acknowledged - validated);
    doubled += Math.max(0, validated - tenant.acknowledged);
  });
  return { lost, doubled };
}

// The tenants of an earlier run with the same directory, else new ones with a card each.
async function prepare(service, postgres, token, agent) {
  const file = values.directory === undefined ? null : path.join(values.directory, 'tenants.json');
  if (file !== null && existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const empty = diskOf(postgres);
  const tenants = Array.from({ length: TENANTS }, (_, index) => ({ name: `t${String(index).padStart(4, '0')}` }));
  const created = await createTenants(service, tenants);
  await inParallel(16, tenants, async (tenant) => {
    const { body } = await untilAnswered(() => service.request('POST', `/${tenant.name}/api/v1/cards`, { token, agent, headers: { 'Idempotency-Key': 'first' },
      body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true } }), 201, PATIENCE_MS);
    tenant.card = body.id;
    tenant.qr = body.qr.text;
  });
  console.log(JSON.stringify({ tenants: TENANTS, create_ms: created }));
  const prepared = { empty, tenants };
  if (file !== null) writeFileSync(file, JSON.stringify(prepared));
  return prepared;
}

// Connections to databases of tenants that each role has begun, and events that wait to be folded.
async function connectsOf(service) {
  const metrics = (await service.request('GET', '/metrics')).raw.toString('utf8');
  const counts = {};
  for (const [, name, role, count] of metrics.matchAll(/^digitalcard_(journal_connects_total|projection_lag_events)\{[^}]*role="([^"]+)"[^}]*\} (\d+)/gm)) counts[`${role} ${name}`] = Number(count);
  return counts;
}

// Sessions that the server has begun, of databases of tenants, whoever asked: those of read models are in no metric.
const sessionsOf = async (postgres) => Number(await postgres.sql("SELECT coalesce(sum(sessions), 0) FROM pg_stat_database WHERE datname LIKE 'dc\\_%'"));

const SETTLED_PER_SECOND = 15; // sweeps of idle tenants go on for ever: four a second
async function settle(service) {
  const sum = async () => Object.entries(await connectsOf(service)).reduce((total, [name, count]) => total + (name.endsWith('connects_total') ? count : 0), 0);
  let before = await sum();
  await until(async () => {
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    const now = await sum();
    const isSettled = now - before < 2 * SETTLED_PER_SECOND;
    before = now;
    return isSettled;
  }, 'every tenant was looked at once', 300_000);
}

async function run(service, postgres) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
  const token = await service.command('token', 'mint', '--role', 'platform_admin', '--ttl', '7200');
  const { empty, tenants } = await prepare(service, postgres, token, agent);
  for (const tenant of tenants) Object.assign(tenant, { asked: 0, acknowledged: 0 });
  const pids = Object.fromEntries((await service.tree()).roles.map((role) => [role.name, role.pid]));
  let connections = 0;
  const watch = setInterval(() => {
    postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'digitalcard%'").then((text) => { connections = Math.max(connections, Number(text)); }, () => {});
  }, 1000);
  watch.unref();
  if (values.settled) await settle(service);
  const connectsBefore = await connectsOf(service);
  const sessionsBefore = await sessionsOf(postgres);
  const before = processorOf(pids, postgres.pid());
  const measured = await load(service, token, tenants, agent);
  clearInterval(watch);
  const after = processorOf(pids, postgres.pid());
  const scans = measured.busy.answers + measured.rare.answers;
  const processor = Object.fromEntries(Object.entries(after).map(([name, ticks]) => [name, Math.round((ticks - before[name]) * 1000 / scans) / 100]));
  const connectsAfter = await connectsOf(service);
  const sessions = await sessionsOf(postgres) - sessionsBefore;
  const connects = Object.fromEntries(Object.entries(connectsAfter).map(([name, count]) => [name, count - (connectsBefore[name] ?? 0)]));
  const memory = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, Math.round(residentOf(pid))]));
  const starved = tenants.filter((tenant) => tenant.asked > 0 && tenant.acknowledged === 0).length;
  const checked = await until(() => check(service, token, tenants, agent), 'the histories are read', 300_000);
  const rare = tenants.slice(BUSY);
  console.log(JSON.stringify({ tenants: tenants.length, ...measured, connections_at_most: connections, starved, ...checked,
    rare_tenants_asked: rare.filter((tenant) => tenant.asked > 0).length, disk_kib_per_tenant: Math.round((diskOf(postgres) - empty) / TENANTS),
    processor_ms_per_scan: processor, connects, sessions, sessions_per_scan: Math.round(sessions / scans * 100) / 100, pss_mb: memory }));
  agent.destroy();
  return checked.lost + checked.doubled + starved + measured.answers_after_their_deadline > 0 || connections > CONNECTIONS;
}

if (values.directory !== undefined) mkdirSync(values.directory, { recursive: true });
const kept = values.directory === undefined ? undefined : path.resolve(values.directory);
const postgres = await Postgres.start({ settings: ['max_connections=100'], directory: kept === undefined ? undefined : path.join(kept, 'server') });
process.env.DIGITALCARD_STORE = postgres.url;
let service;
let failed = true;
try {
  service = await Service.start({ data: kept === undefined ? undefined : path.join(kept, 'data'),
    arguments: ['--shards', '1', '--store-connections-total', String(CONNECTIONS)] });
  failed = await run(service, postgres);
} catch (error) {
  console.error(error, service?.log.slice(-3000));
} finally {
  await service?.destroy();
  await postgres.destroy();
}
process.exit(failed ? 1 : 0); // kept connections would hold it
