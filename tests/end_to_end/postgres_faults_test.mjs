// What a PostgreSQL server can do to a service: be full, frozen, read-only, slow, out of connections, refuse a tenant's
// role, lose a tenant's database. Each time the gate hears 503 within its deadline, the log says what to do, a metric
// counts it, and afterwards the service goes on by itself with everything it has acknowledged.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { roles, run, Service, until } from './service.mjs';

const DEADLINE_MS = 5_000; // LIMIT_REQUEST_DEADLINE_MS
const LATE_MS = 1_000; // a busy machine
const MAX_CONNECTIONS = 40;
let postgres;
let service;
let token;
let card;
let database;
let folder;
let acknowledged = 0;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'dc-faults-'));
  const disk = (server) => {
    copyFileSync(process.env.DIGITALCARD_FULL_DISK, `${server.directory}/full_disk.so`);
    return { LD_PRELOAD: `${server.directory}/full_disk.so`, FULL_DISK_SWITCH: `${server.directory}/full`,
      FULL_DISK_BELOW: `${server.directory}/data/base` };
  };
  postgres = await Postgres.start({ settings: [`max_connections=${MAX_CONNECTIONS}`], environment: disk });
  process.env.DIGITALCARD_STORE = postgres.url;
  const wrapper = ['env', `LD_PRELOAD=${process.env.DIGITALCARD_CLOCK_BACK}`, `CLOCK_BACK_SWITCH=${path.join(folder, 'back')}`];
  service = await Service.start({ arguments: ['--shards', '1', '--store-connections', '6'], wrapper });
  token = await service.tenant('acme');
  card = await service.issue('acme', token);
  database = await postgres.tenantDatabase('acme');
});
after(async () => {
  await service?.destroy();
  await postgres?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

async function scan(more = {}) {
  const started = Date.now();
  const reply = await service.scan('acme', token, card.qr.text, more);
  const took = Date.now() - started;
  assert.ok(took <= DEADLINE_MS + LATE_MS, `answered after ${took} ms`);
  assert.ok([200, 503].includes(reply.status), `${reply.status} ${reply.raw}`);
  if (reply.status === 200) acknowledged += 1;
  return reply;
}

const refused = (what) => until(async () => {
  const reply = await scan();
  return reply.status === 503 ? reply : null;
}, what, 20_000);
const goesOn = () => until(async () => (await scan()).status === 200, 'the scans go on', 30_000);
const troubles = async (reason) => {
  const text = (await service.request('GET', '/metrics')).raw.toString();
  return text.split('\n').filter((line) => line.startsWith('digitalcard_journal_troubles_total') && line.includes(`reason="${reason}"`))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
};
const told = (text, reason) => until(async () => service.log.includes(text) && await troubles(reason) > 0, `log and metric say ${reason}`);

test('a full disk is 503 store_full', async () => {
  writeFileSync(`${postgres.directory}/full`, '');
  const reply = await until(async () => {
    const answer = await scan();
    return answer.status === 503 ? answer : null;
  }, 'the full disk is noticed', 60_000);
  assert.equal(reply.body.code, 'store_full', `${reply.raw}`);
  await told('the disk of PostgreSQL is full', 'full');
  unlinkSync(`${postgres.directory}/full`);
  await goesOn();
});

test('a disk too full for the log of PostgreSQL ends the server; the service waits for it', async () => {
  await postgres.crash();
  postgres.environment.FULL_DISK_BELOW = `${postgres.directory}/data`;
  await postgres.spawn();
  await goesOn();
  const ended = new Promise((resolve) => { postgres.process.once('exit', resolve); });
  writeFileSync(`${postgres.directory}/full`, '');
  await refused('the server is gone');
  await ended;
  unlinkSync(`${postgres.directory}/full`);
  await refused('still gone');
  await postgres.spawn();
  await goesOn();
});

test('read-only, as after a failover: 503 for scans, and the log says where the URL must lead', async () => {
  await postgres.sql('ALTER SYSTEM SET default_transaction_read_only = on');
  await postgres.sql('SELECT pg_reload_conf()');
  await refused('the server only reads');
  await told('PostgreSQL only reads', 'read_only');
  await postgres.sql('ALTER SYSTEM RESET default_transaction_read_only');
  await postgres.sql('SELECT pg_reload_conf()');
  await goesOn();
});

test('a lock that nobody lets go of: 503 within the deadline, one effect for the key', async () => {
  const holding = postgres.hold('BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)', database);
  await until(async () => await postgres.sql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted", database) !== '0', 'it is locked');
  const keyed = () => service.request('POST', '/acme/mapi/v1/scans', { token, headers: { 'Idempotency-Key': 'slow' }, body: { qr: card.qr.text, gate: 'slow' } });
  const started = Date.now();
  assert.equal((await keyed()).status, 503);
  assert.ok(Date.now() - started <= DEADLINE_MS + LATE_MS);
  await told('PostgreSQL took too long', 'slow');
  await postgres.endSleeping();
  await holding;
  const again = await until(async () => { const reply = await keyed(); return reply.status === 200 ? reply : null; }, 'the same key is answered', 30_000);
  assert.deepEqual((await keyed()).raw, again.raw);
  acknowledged += 1;
});

test('a server that freezes: 503 within the deadline, and no role is taken for hung', async () => {
  const before_ = roles(await service.tree());
  postgres.signal('SIGSTOP');
  try {
    const started = Date.now();
    let ready = null;
    while (Date.now() - started < 12_000) {
      await scan();
      ready = await service.request('GET', '/health/ready');
    }
    assert.equal(ready.status, 503);
    assert.match(ready.body.detail, /^shard-\d+: (its store does not answer|the control store cannot be read)/);
    assert.equal((await service.request('GET', '/health/live')).status, 200);
  } finally {
    postgres.signal('SIGCONT');
  }
  await told('PostgreSQL did not answer in time', 'silent');
  await goesOn();
  await until(async () => (await service.request('GET', '/health/ready')).status === 200, 'it is ready again', 20_000);
  const after_ = roles(await service.tree());
  assert.deepEqual(Object.values(after_).map((role) => role.pid), Object.values(before_).map((role) => role.pid));
});

test('no connection left: 503 for a tenant that needs one, the others go on', async () => {
  const other = await service.tenant('beta');
  const guest = await service.issue('beta', other);
  const sleeping = [...await postgres.takeAllConnections(MAX_CONNECTIONS)];
  await postgres.endSessions(await postgres.tenantDatabase('beta'));
  sleeping.push(...await postgres.takeAllConnections(6));
  const reply = await until(async () => {
    const answer = await service.scan('beta', other, guest.qr.text);
    return answer.status === 503 ? answer : null;
  }, 'beta hears 503');
  assert.equal(reply.body.code, 'store_unavailable');
  assert.equal((await scan()).status, 200); // acme has its connection
  await told('PostgreSQL has no connection left', 'connections');
  await postgres.endSleeping();
  await Promise.all(sleeping);
  await until(async () => (await service.scan('beta', other, guest.qr.text)).status === 200, 'beta goes on', 20_000);
});

test('a tenant whose role is refused: 503, and the log names the tenant', async () => {
  const verifier = await postgres.sql(`SELECT rolpassword FROM pg_authid WHERE rolname = '${database}'`);
  await postgres.sql(`ALTER ROLE "${database}" PASSWORD 'another'`);
  await postgres.endSessions(database);
  await refused('the role is refused');
  await told("PostgreSQL refuses the tenant's role", 'login');
  await postgres.sql(`ALTER ROLE "${database}" PASSWORD '${verifier}'`);
  await goesOn();
});

test('a journal of a newer version: 503, and it is left alone', async () => {
  const version = await postgres.sql('SELECT version FROM journal_schema', database);
  await postgres.sql('UPDATE journal_schema SET version = 99', database);
  await postgres.endSessions(database);
  await refused('the schema is newer');
  await told('written by a newer version', 'schema');
  assert.equal(await postgres.sql('SELECT version FROM journal_schema', database), '99');
  await postgres.sql(`UPDATE journal_schema SET version = ${version}`, database);
  await goesOn();
});

test("a tenant's database that is gone: 503, and the log says to restore it", async () => {
  await postgres.sql(`ALTER DATABASE "${database}" ALLOW_CONNECTIONS false`);
  await postgres.endSessions(database);
  await postgres.sql(`ALTER DATABASE "${database}" RENAME TO elsewhere`);
  await refused('the database is gone');
  await told('restore it from a backup', 'database');
  await postgres.sql(`ALTER DATABASE elsewhere RENAME TO "${database}"`);
  await postgres.sql(`ALTER DATABASE "${database}" ALLOW_CONNECTIONS true`);
  await goesOn();
});

test('a tenant is deleted while it commits: the next one of its name does not wait until nobody asks for the outcome', async () => {
  const old = await service.tenant('short-lived');
  await service.issue('short-lived', old);
  const its = await postgres.tenantDatabase('short-lived');
  const body = { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z' };
  const issue = (by) => service.request('POST', '/short-lived/api/v1/cards', { token: by, body });
  const [psql, words] = postgres.psql(`SET ROLE "${its}"; BEGIN; SELECT 1 FROM partition FOR UPDATE; SELECT pg_sleep(60)`, its);
  words[words.indexOf('-U') + 1] = 'digitalcard'; // whoever deletes the tenant may end only sessions of its own roles
  const held = run(psql, words, { env: { ...process.env, PGPASSWORD: 'secret' } }).catch(() => null);
  const waits = (what) => until(async () => await postgres.sql(`SELECT count(*) FROM pg_stat_activity WHERE datname = '${its}' AND ${what}`) !== '0', what);
  await waits("wait_event = 'PgSleep'");
  const lost = issue(old);
  await waits("wait_event_type = 'Lock'");
  await service.command('tenant', 'delete', 'short-lived', '--yes');
  await held;
  assert.equal((await lost).body.code, 'outcome_unknown');
  await service.command('tenant', 'create', 'short-lived');
  const token = await service.token('short-lived');
  await until(async () => (await issue(token)).status === 201, 'the new one issues', 20_000);
  assert.equal((await service.request('GET', '/health/ready')).status, 200);
});

test('a clock that is set back: scans go on, in order', async () => {
  const earlier = (await scan()).body;
  writeFileSync(path.join(folder, 'back'), '30\n');
  const later = (await scan()).body;
  assert.equal(later.result, 'valid');
  assert.equal(later.sequence, earlier.sequence + 1);
  assert.ok(later.at < earlier.at, 'the clock did go back');
  unlinkSync(path.join(folder, 'back'));
  assert.equal((await scan()).body.sequence, later.sequence + 1);
});

test('nothing acknowledged is lost, and what is stored holds together', async () => {
  const history = [];
  for (let cursor = ''; cursor !== null;) {
    const page = await until(async () => {
      const reply = await service.request('GET', `/acme/api/v1/cards/${card.id}/history?limit=500${cursor}`, { token });
      return reply.status === 200 ? reply.body : null;
    }, 'the history is read');
    history.push(...page.items);
    cursor = page.next_cursor === null ? null : `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  assert.deepEqual(history.map((item) => item.card_sequence).reverse(), history.map((_, index) => index + 1));
  const validated = history.filter((item) => item.name === 'CardValidated').length;
  assert.ok(validated >= acknowledged, `${validated} stored, ${acknowledged} acknowledged`);
  const verified = JSON.parse(await service.command('store', 'verify', '--json'));
  assert.equal(verified.sound, true, JSON.stringify(verified));
});
