// Retention on PostgreSQL: validations stand in a table per month; `store retain` moves whole months into an archive file
// and only then lets them go. What stays answers as before, what is gone is said so, and a run that is killed loses nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { BINARY, Service, until } from './service.mjs';

const CARDS = 12;
let folder;
let postgres;
let service;
let token;
let database;
let cards;

// The service's clock is set back by so many days; the test says how many.
function daysBack(days) {
  writeFileSync(path.join(folder, 'back'), `${days * 86400}\n`);
}

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'dc-retention-'));
  postgres = await Postgres.start();
  process.env.DIGITALCARD_STORE = postgres.url;
  service = await Service.start({ wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_CLOCK_BACK}`, `CLOCK_BACK_SWITCH=${path.join(folder, 'back')}`] });
  token = await service.tenant('acme', '--partitions', '2');
  database = await postgres.tenantDatabase('acme');
});
after(async () => {
  await service?.destroy();
  await postgres?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const file = (name) => path.join(folder, name);
const storeOf = (data, url, ...words) => service.tryCommand('store', ...words, '--data', data, '--store', url);
const store = (...words) => storeOf(service.data, postgres.url, ...words);
const retain = (before, name, ...more) => store('retain', '--tenant', 'acme', '--before', before, file(name), ...more);
const sql = (statement) => postgres.sql(statement, database);
const get = (target) => service.request('GET', target, { token });
const history = async (card) => (await get(`/acme/api/v1/cards/${card.id}/history?limit=500`)).body;
const scan = async (card) => {
  const reply = await service.request('POST', `/acme/mapi/v1/cards/${card.id}/validate`, { token, body: { gate: 'north' } });
  assert.equal(reply.status, 200, reply.raw);
  return reply.body;
};
const scans = async (some, times) => { for (const card of some) for (let i = 0; i < times; i++) await scan(card); };
async function sound(data = service.data, url = postgres.url) {
  const result = await storeOf(data, url, 'verify', '--tenant', 'acme', '--json');
  assert.equal(result.status, 0, result.stdout);
  return JSON.parse(result.stdout).tenants[0];
}

// The numbers of all days, when the relay has folded what there is: two pages of 56 days.
async function rollups(ask = get) {
  const midnight = (days) => `${new Date(Date.now() - days * 86400000).toISOString().slice(0, 10)}T00:00:00Z`;
  const items = [];
  for (const days of [110, 54]) {
    const page = await until(async () => {
      const reply = await ask(`/acme/api/v1/rollups?grain=day&from=${midnight(days)}&to=${midnight(days - 56)}&limit=100`);
      return reply.status === 200 && !reply.body.behind ? reply.body : null;
    }, 'rollups are there', 20_000);
    items.push(...page.items);
  }
  return items.filter((item) => item.validated > 0);
}
const validated = (items) => items.reduce((sum, item) => sum + item.validated, 0);

// The first day of the month in which it was so many days ago.
function monthOf(days) {
  const then = new Date(Date.now() - days * 86400000);
  return new Date(Date.UTC(then.getUTCFullYear(), then.getUTCMonth(), 1));
}
const dayOf = (date) => date.toISOString().slice(0, 10);
const tableOf = (days) => `event_${dayOf(monthOf(days)).slice(0, 7).replace('-', '_')}`;
const LONG_AGO = 100;
const AGO = 60;

test('validations stand in the table of their month, everything else in the one that stays', async () => {
  daysBack(LONG_AGO);
  cards = [];
  for (let i = 0; i < CARDS; i++) cards.push(await service.issue('acme', token, { member_id: `m-${i}`, holder_name: `Anna ${i}`, valid_from: '2020-01-01T00:00:00Z' }));
  await scans(cards, 5);
  daysBack(AGO);
  await scans(cards.slice(0, 8), 3);
  daysBack(0);
  await scans(cards.slice(0, 4), 2);
  const counts = {};
  for (const days of [LONG_AGO, AGO, 0]) counts[days] = Number(await sql(`SELECT count(*) FROM ${tableOf(days)}`));
  assert.deepEqual(counts, { [LONG_AGO]: CARDS * 5, [AGO]: 24, 0: 8 });
  assert.equal(await sql('SELECT count(*) FROM event_kept'), String(CARDS * 2));
  assert.equal((await sound()).archived, 0);
});

test('on the embedded store it says that it is not there', async () => {
  const result = await storeOf(service.data, 'sqlite', 'retain', '--tenant', 'acme', '--before', '2020-01-01', file('none.dca'));
  assert.equal(result.status, 1);
  assert.match(result.stderr, /only on PostgreSQL/);
});

test('a day that is not the first of a month that has begun is refused', async () => {
  for (const date of ['2026-01-02', '2026-13-01', 'yesterday', '9000-01-01']) {
    const result = await retain(date, 'bad.dca');
    assert.equal(result.status, 2, date);
    assert.match(result.stderr, /first day of a month/);
  }
});

test('nothing that old: no file, and no harm', async () => {
  const result = await retain('2020-01-01', 'early.dca', '--json');
  assert.deepEqual(JSON.parse(result.stdout), { tenant: 'acme', before: '2020-01-01', events: 0, file: null, size: 0 });
  assert.equal(existsSync(file('early.dca')), false);
});

test('a run that is killed with its file complete loses nothing, and holds no gate up while it waits', async () => {
  const before = await sound();
  const reading = postgres.hold('BEGIN; SELECT count(*) FROM event; SELECT pg_sleep(60)', database);
  await until(() => sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()").then((yes) => yes === 't'), 'somebody reads', 10_000);
  const child = spawn(BINARY, ['store', 'retain', '--tenant', 'acme', '--before', dayOf(monthOf(AGO)), file('old.dca'), '--data', service.data, '--store', postgres.url]);
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  await until(() => existsSync(file('old.dca')), 'the archive is complete', 20_000);
  const second = await retain(dayOf(monthOf(AGO)), 'second.dca');
  assert.equal(second.status, 1);
  assert.match(second.stderr, /another retention of this organisation is running/);
  await scans(cards.slice(0, 2), 3);
  child.kill('SIGKILL');
  await ended;
  assert.equal(existsSync(file('second.dca')), false);
  await postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()");
  await reading;
  const after = await sound();
  assert.deepEqual([after.archived, after.events], [0, before.events + 6]);
});

test('the next run goes on with the file, and the months are gone', async () => {
  const before = await sound();
  const counted = await rollups();
  assert.equal(validated(counted), CARDS * 5 + 24 + 8 + 6);
  const archive = readFileSync(file('old.dca'));
  const result = await until(async () => { // the server lets go of the killed one within a second
    const run = await retain(dayOf(monthOf(AGO)), 'old.dca', '--json');
    if (run.status === 1) assert.match(run.stderr, /another retention/);
    return run.status === 0 ? run : null;
  }, 'the months are gone', 20_000);
  assert.equal(JSON.parse(result.stdout).events, 8 * 5 + 4 * 4, 'the last event of a card stays');
  assert.deepEqual(readFileSync(file('old.dca')), archive);
  assert.equal(await sql(`SELECT to_regclass('${tableOf(LONG_AGO)}') IS NULL`), 't');
  const after = await sound();
  assert.deepEqual([after.archived, after.events, after.problems], [56, before.events - 56, []]);
  const verified = await service.tryCommand('store', 'verify', file('old.dca'), '--json');
  assert.deepEqual({ ...JSON.parse(verified.stdout), file: '' }, { sound: true, file: '', kind: 'archive', tenant: 'acme', events: 56, cards: 0 });
  const again = await retain(dayOf(monthOf(AGO)), 'old.dca', '--json');
  assert.equal(JSON.parse(again.stdout).events, 0, 'once more has nothing to do');
  assert.deepEqual(await rollups(), counted);
  assert.deepEqual(after.read_models.result, 'ok', 'the read models are what is there and what is archived');
  assert.equal((await service.tryCommand('store', 'rebuild', 'all', '--tenant', 'acme', '--data', service.data)).status, 0);
  assert.deepEqual(await rollups(), counted, 'read models that are made anew know what is archived');
  await sound();
});

test('an archive is no backup, its damage is found, and another one does not take its place', async () => {
  const restored = await store('restore', '--tenant', 'acme', file('old.dca'));
  assert.match(restored.stderr, /archived, no backup/);
  const bytes = readFileSync(file('old.dca'));
  bytes[bytes.length >> 1] ^= 1;
  writeFileSync(file('broken.dca'), bytes);
  assert.match((await store('verify', file('broken.dca'))).stderr, /damaged/);
  const other = await retain(dayOf(monthOf(0)), 'old.dca');
  assert.equal(other.status, 1);
  assert.match(other.stderr, /holds other validations/);
});

test('cards go on with their numbers, and the history says where it has gaps', async () => {
  for (const [index, last] of [[0, 2 + 5 + 3 + 2 + 3], [5, 2 + 5 + 3], [9, 2 + 5]]) {
    assert.equal((await scan(cards[index])).result, 'valid');
    const page = await until(async () => {
      const read = await history(cards[index]);
      return read.items[0].card_sequence === last + 1 ? read : null;
    }, 'the history has the scan', 10_000);
    assert.equal(page.archived_before, `${dayOf(monthOf(AGO))}T00:00:00.000Z`);
    assert.deepEqual(page.items.slice(-2).map((item) => item.card_sequence), [2, 1], 'its changes are all there');
  }
  const nine = (await history(cards[9])).items.map((item) => item.card_sequence);
  assert.deepEqual(nine, [8, 7, 2, 1]);
  const young = await service.issue('acme', token, { member_id: 'young' });
  assert.equal('archived_before' in (await history(young)), false);
});

test('replay from before is told where to begin, and from there on has no gap', async () => {
  for (const partition of [0, 1]) {
    const refused = await get(`/acme/api/v1/events?after=0&partition=${partition}`);
    assert.equal(refused.status, 410, refused.raw);
    assert.equal(refused.body.code, 'archived');
    const first = refused.body.first_sequence;
    assert.ok(first > 1);
    const page = (await get(`/acme/api/v1/events?after=${first - 1}&partition=${partition}&limit=1000`)).body;
    assert.deepEqual(page.items.map((item) => item.sequence), Array.from({ length: page.head - first + 1 }, (_, i) => first + i));
    assert.equal((await get(`/acme/api/v1/events?after=${first - 2}&partition=${partition}`)).status, 410);
  }
});

test('after a restart everything is found: cards, lists, validations', async () => {
  await service.stop();
  await service.spawn();
  await until(async () => (await get('/acme/api/v1/cards?limit=100')).status === 200, 'lists are back', 20_000);
  assert.equal((await get('/acme/api/v1/cards?limit=100')).body.items.length, CARDS + 1);
  for (const card of cards) assert.equal((await scan(card)).result, 'valid');
  assert.equal((await service.tryCommand('store', 'rebuild', 'all', '--tenant', 'acme', '--data', service.data)).status, 0);
  assert.equal((await get('/acme/api/v1/cards?limit=100')).body.items.length, CARDS + 1);
});

test('a backup takes the gaps along: to SQLite, and back', async () => {
  const key = path.join(service.data, 'master.key');
  const here = await sound();
  const counted = await rollups();
  assert.equal((await store('backup', '--tenant', 'acme', file('whole.dcb'))).status, 0);
  assert.equal((await service.tryCommand('store', 'verify', file('whole.dcb'))).status, 0);
  const small = await Service.start({ arguments: ['--store', 'sqlite'] });
  try {
    const restored = await storeOf(small.data, 'sqlite', 'restore', '--tenant', 'acme', file('whole.dcb'), '--master-key', key);
    assert.equal(restored.status, 0, restored.stderr);
    const there = await sound(small.data, 'sqlite');
    assert.deepEqual([there.events, there.archived], [here.events, here.archived]);
    const bearer = await small.token('acme', 'tenant_admin', '--store', 'sqlite');
    const ask = (method, target, body) => small.request(method, target, { token: bearer, body });
    const reply = await until(async () => {
      const scanned = await ask('POST', `/acme/mapi/v1/cards/${cards[9].id}/validate`, { gate: 'north' });
      return scanned.status === 200 ? scanned : null;
    }, 'the tenant is there', 10_000);
    assert.equal(reply.body.result, 'valid');
    assert.equal(validated(await rollups((target) => ask('GET', target))), validated(counted) + 1, 'sums travel with the backup');
    const page = (await ask('GET', `/acme/api/v1/cards/${cards[9].id}/history?limit=500`)).body;
    assert.deepEqual(page.items.map((item) => item.card_sequence), [10, 9, 8, 7, 2, 1]);
    assert.equal(page.archived_before, `${dayOf(monthOf(AGO))}T00:00:00.000Z`);
    assert.equal((await ask('GET', '/acme/api/v1/events?after=0&partition=0')).body.code, 'archived');
    assert.equal((await storeOf(small.data, 'sqlite', 'backup', '--tenant', 'acme', file('small.dcb'))).status, 0);
    await sound(small.data, 'sqlite');
    const back = await storeOf(service.data, postgres.url, 'restore', '--tenant', 'acme', file('small.dcb'), '--master-key', path.join(small.data, 'master.key'));
    assert.match(back.stderr, /exists already/);
    assert.equal((await service.tryCommand('tenant', 'delete', 'acme', '--yes', '--data', service.data)).status, 0);
    const again = await storeOf(service.data, postgres.url, 'restore', '--tenant', 'acme', file('small.dcb'), '--master-key', path.join(small.data, 'master.key'));
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual([(await sound()).events, (await sound()).archived], [here.events + 1, here.archived]);
  } finally {
    await small.destroy();
  }
});
