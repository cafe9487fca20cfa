// Many tenants on one PostgreSQL with few connections: a fresh server and service, TENANTS tenants with a card each, then
// closed-loop scans of which 90 % go to the 5 % busy tenants. Says what creating cost, rate and latency of the busy and of
// the rare ones, refusals, and disk; checks that every scan that was acknowledged is in its card's history, once, and that
// no tenant got nothing. Usage: node bench/tenants.mjs [--tenants N] [--connections N] [--seconds S] [--workers N]
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import { parseArgs } from 'node:util';
import { Postgres } from '../tests/end_to_end/postgres.mjs';
import { Service, until } from '../tests/end_to_end/service.mjs';

const { values } = parseArgs({ options: {
  tenants: { type: 'string', default: '1000' }, connections: { type: 'string', default: '64' },
  seconds: { type: 'string', default: '30' }, workers: { type: 'string', default: '64' } } });
const TENANTS = Number(values.tenants);
const SECONDS = Number(values.seconds);
const WORKERS = Number(values.workers);
const BUSY = Math.max(1, Math.round(TENANTS * 0.05));
const ROLES_WITH_CONNECTIONS = 2; // one shard, the relay; each has one more to the control database
const DEADLINE_MS = 5_000;
const PATIENCE_MS = 60_000; // after the load, for what is still without an answer

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

function diskOf(server) {
  return Number(execFileSync('du', ['-sk', `${server.directory}/data/base`]).toString().split('\t')[0]);
}

async function createTenants(service, names) {
  const took = [];
  for (const name of names) { // one after the other: shard 0 makes them
    const started = performance.now();
    await service.command('tenant', 'create', name);
    took.push(performance.now() - started);
  }
  return summary(took);
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
      const key = `scan-${tenant.asked}`;
      tenant.asked += 1;
      await untilAnswered(async () => {
        const sent = performance.now();
        const reply = await service.request('POST', `/${tenant.name}/mapi/v1/scans`, { token, agent, headers: { 'Idempotency-Key': key },
          body: { qr: tenant.card.qr.text, gate: 'north' } });
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
  await inParallel(8, tenants, async (tenant) => {
    let validated = 0;
    for (let cursor = ''; cursor !== null;) {
      const page = (await untilAnswered(() => service.request('GET', `/${tenant.name}/api/v1/cards/${tenant.card.id}/history?limit=500${cursor}`,
        { token, agent }), 200, PATIENCE_MS)).body;
      validated += page.items.filter((item) => item.name === 'CardValidated').length;
      cursor = page.next_cursor === null ? null : `&cursor=${encodeURIComponent(page.next_cursor)}`;
    }
    lost += Math.max(0, tenant.acknowledged - validated);
    doubled += Math.max(0, validated - tenant.acknowledged);
  });
  return { lost, doubled };
}

const postgres = await Postgres.start({ settings: ['max_connections=100'] });
process.env.DIGITALCARD_STORE = postgres.url;
const perRole = Math.floor(Number(values.connections) / ROLES_WITH_CONNECTIONS) - 1;
let service;
let failed = false;
try {
  service = await Service.start({ arguments: ['--shards', '1', '--store-connections', String(perRole)] });
  const agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
  const token = await service.command('token', 'mint', '--role', 'platform_admin', '--ttl', '7200');
  const names = Array.from({ length: TENANTS }, (_, index) => `t${String(index).padStart(4, '0')}`);
  const empty = diskOf(postgres);
  const created = await createTenants(service, names);
  console.log(JSON.stringify({ tenants: TENANTS, create_ms: created }));
  const tenants = names.map((name) => ({ name, card: null, asked: 0, acknowledged: 0 }));
  await inParallel(16, tenants, async (tenant) => {
    tenant.card = (await untilAnswered(() => service.request('POST', `/${tenant.name}/api/v1/cards`, { token, agent, headers: { 'Idempotency-Key': 'first' },
      body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true } }), 201, PATIENCE_MS)).body;
  });
  let connections = 0;
  const watch = setInterval(() => {
    postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'digitalcard%'").then((text) => { connections = Math.max(connections, Number(text)); }, () => {});
  }, 1000);
  const measured = await load(service, token, tenants, agent);
  clearInterval(watch);
  const starved = tenants.filter((tenant) => tenant.asked > 0 && tenant.acknowledged === 0).length;
  const checked = await until(() => check(service, token, tenants, agent), 'the histories are read', 300_000);
  const rare = tenants.slice(BUSY);
  console.log(JSON.stringify({ ...measured, connections_at_most: connections, starved, ...checked,
    rare_tenants_asked: rare.filter((tenant) => tenant.asked > 0).length, disk_kib_per_tenant: Math.round((diskOf(postgres) - empty) / TENANTS) }));
  failed = checked.lost + checked.doubled + starved + measured.answers_after_their_deadline > 0;
  agent.destroy();
} catch (error) {
  failed = true;
  console.error(error, service?.log.slice(-3000));
} finally {
  await service?.destroy();
  await postgres.destroy();
}
process.exitCode = failed ? 1 : 0;
