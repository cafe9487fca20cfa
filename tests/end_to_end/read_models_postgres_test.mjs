// Lists, search, rollups and rebuilding with the PostgreSQL store: what read_models_test.mjs expects of SQLite. The tables
// of the read models may vanish or be damaged at any time, and the server may end.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { Service, killRole, until } from './service.mjs';

let postgres;
let service;
let token;
let database;

before(async () => {
  postgres = await Postgres.start();
  process.env.DIGITALCARD_STORE = postgres.url; // commands of the tests find it there as well
  service = await Service.start();
  token = await service.tenant('acme', '--partitions', '4');
  database = await postgres.tenantDatabase('acme');
});
after(async () => {
  await service?.destroy();
  await postgres?.destroy();
});

const get = (target, bearer = token) => service.request('GET', target, { token: bearer });
const list = async (query) => {
  const reply = await get(`/acme/api/v1/cards?${query}`);
  assert.equal(reply.status, 200, `${query}: ${reply.raw}`);
  return reply.body;
};
const members = async (query) => (await list(query)).items.map((card) => card.member_id);

test('a name is found by its words, and stands in no table', async () => {
  await service.issue('acme', token, { member_id: 'n-1', holder_name: 'Zoë Müller-Świątek', tier: 'gold' });
  await service.issue('acme', token, { member_id: 'n-2', holder_name: "Seán O'Brien", tier: 'silver' });
  await service.issue('acme', token, { member_id: 'n-3', holder_name: 'Zoe Straße', tier: 'silver' });
  assert.deepEqual(await members('q=zoe'), ['n-3', 'n-1']);
  assert.deepEqual(await members('q=SWIATEK%20zoe'), ['n-1']);
  assert.deepEqual(await members('q=obrien'), ['n-2']);
  assert.deepEqual(await members('q=zo'), [], 'words are found whole');
  assert.deepEqual(await members('q=zoe&tier=silver'), ['n-3']);
  assert.deepEqual(await members('q=Silv'), ['n-3', 'n-2'], 'a tier by its beginning');
  assert.equal((await list('q=zoe&limit=1')).items[0].holder_name, 'Zoe Straße');
  for (const word of ['Straße', 'strasse', 'OBrien', "O'Brien"]) {
    const rows = await postgres.sql(`SELECT count(*) FROM read_model.card WHERE position(convert_to($$${word}$$, 'UTF8') IN body) > 0`, database);
    assert.equal(rows, '0', word);
  }
});

test('filters: tier, range of expiry, status; pages follow each other', async () => {
  for (let i = 0; i < 12; i++) {
    await service.issue('acme', token, { member_id: `e-${i}`, tier: 'range', expires_at: `20${40 + i}-01-01T00:00:00Z` });
  }
  assert.deepEqual((await members('tier=range&expires_after=2042-01-01T00:00:00Z&expires_before=2045-01-01T00:00:00Z')).sort(), ['e-2', 'e-3', 'e-4']);
  const seen = [];
  let target = '/acme/api/v1/cards?tier=range&status=active&limit=5';
  while (target !== null) {
    const reply = await get(target);
    seen.push(...reply.body.items);
    const link = /<([^>]+)>; rel="next"/.exec(reply.headers.link ?? '');
    assert.equal(link !== null, reply.body.next_cursor !== null);
    target = link === null ? null : link[1];
  }
  assert.deepEqual(seen.map((card) => card.member_id).sort(), Array.from({ length: 12 }, (_, i) => `e-${i}`).sort());
  seen.slice(1).forEach((card, i) => assert.ok(card.issued_at <= seen[i].issued_at, 'newest first; two of one millisecond either way'));
  assert.equal((await get(`/acme/api/v1/cards?cursor=c1${'0'.repeat(16)}`)).body.code, 'invalid_cursor');
});

test('a list shows what was acknowledged just before', async () => {
  for (let i = 0; i < 20; i++) {
    const card = await service.issue('acme', token, { member_id: `own-${i}` });
    assert.deepEqual((await list(`member_id=own-${i}`)).items.map((item) => item.id), [card.id]);
    await service.act('acme', token, card.id, 'revoke');
    assert.deepEqual((await list(`member_id=own-${i}`)).items.map((item) => item.status), ['revoked']);
  }
});

test('rollups count what happened, by hour and day', async () => {
  const other = await service.tenant('counted');
  const card = await service.issue('counted', other, { member_id: 'r-1' });
  const gone = await service.issue('counted', other, { member_id: 'r-2' });
  await service.act('counted', other, gone.id, 'suspend');
  for (let i = 0; i < 3; i++) await service.scan('counted', other, card.qr.text, { gate: 'north' });
  await service.scan('counted', other, gone.qr.text, { gate: 'south' });
  const auditor = await service.token('counted', 'auditor');
  for (const grain of ['hour', 'day']) {
    const page = (await get(`/counted/api/v1/rollups?grain=${grain}`, auditor)).body;
    const total = (name) => page.items.reduce((sum, row) => sum + row[name], 0);
    assert.deepEqual(['issued', 'activated', 'suspended', 'revoked', 'validated', 'refused'].map(total), [2, 2, 1, 0, 3, 1], grain);
    assert.deepEqual(page.items.at(-1).cards, { issued: 0, active: 1, suspended: 1, revoked: 0, expired: 0, replaced: 0 });
    const scans = page.items.flatMap((row) => row.scans);
    assert.deepEqual(scans.filter((scan) => scan.gate === 'south'), [{ gate: 'south', reason: 'suspended', count: 1 }]);
  }
});

test('the relay, its connections or its tables go: lists come back by themselves', async () => {
  const before = (await list('limit=500')).items;
  const back = async () => {
    await until(async () => {
      const reply = await get('/acme/api/v1/cards?limit=500').catch(() => null);
      return reply?.status === 200 && reply.body.behind === undefined;
    }, 'the list is back', 30_000);
    assert.deepEqual((await list('limit=500')).items, before);
  };
  const kill = async (statement) => {
    await killRole(service, 'relay');
    await until(async () => (await postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'digitalcard-read'")) === '0', 'its sessions end')
      .catch(() => {}); // the next relay may be there already
    await postgres.sql(statement, database);
    await back();
  };
  await kill('SELECT 1');
  await kill('DROP SCHEMA IF EXISTS read_model CASCADE');
  await kill('DELETE FROM read_model.meta');
  await postgres.sql('DROP TABLE read_model.word, read_model.cursor', database); // under the relay's feet
  await service.issue('acme', token, { member_id: 'after-damage', holder_name: 'Ada' });
  await until(async () => {
    const reply = await get('/acme/api/v1/cards?q=ada').catch(() => null);
    return reply?.status === 200 && reply.body.items.length === 1;
  }, 'damaged tables are made anew', 30_000);
  before.unshift((await list('member_id=after-damage')).items[0]);
  await postgres.endSessions(database);
  await back();
});

test('store rebuild makes them anew while lists and changes go on, and without a service', async () => {
  const before = (await list('limit=500')).items.map((card) => card.id);
  let done = false;
  const issued = [];
  const asking = (async () => {
    while (!done) {
      issued.push((await service.issue('acme', token, { member_id: `meanwhile-${issued.length}` })).id);
      const ids = (await list('limit=500')).items.map((card) => card.id);
      assert.deepEqual(ids, [...issued].reverse().concat(before));
    }
  })();
  for (let i = 0; i < 3; i++) {
    const output = JSON.parse(await service.command('store', 'rebuild', 'cards', '--tenant', 'acme', '--json'));
    assert.equal(output.tenants[0].result, 'ok');
    assert.ok(output.tenants[0].folded >= before.length);
  }
  done = true;
  await asking;
  const all = (await list('limit=500')).items;
  assert.equal(await postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'read_model_next'", database), '0');
  await service.stop();
  await service.command('store', 'rebuild', 'cards', '--tenant', 'acme');
  assert.equal(await postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'read_model%'", database), '0');
  await service.spawn();
  await until(async () => (await get('/acme/api/v1/cards')).status === 200, 'lists are back', 30_000);
  assert.deepEqual((await list('limit=500')).items, all);
});

test('store verify holds the read models against the journal, names what differs, and rebuilding mends it', async () => {
  await service.stop(); // so that nothing is behind, and nothing mends itself
  const verify = async () => {
    const result = await service.tryCommand('store', 'verify', '--tenant', 'acme', '--json', '--data', service.data);
    return { status: result.status, models: JSON.parse(result.stdout).tenants[0].read_models };
  };
  const good = await verify();
  assert.equal(good.status, 0);
  assert.equal(good.models.result, 'ok');
  assert.ok(good.models.events > 50, JSON.stringify(good));
  for (const [damage, check] of [
    ['UPDATE read_model.counter SET count = count + 1 WHERE (series, grain, start, kind, gate) IN (SELECT series, grain, start, kind, gate FROM read_model.counter LIMIT 1)', /rollup/],
    ['UPDATE read_model.card SET status = 4 WHERE id = (SELECT id FROM read_model.card WHERE status = 2 LIMIT 1)', /card of the read models/],
    ['DELETE FROM read_model.card WHERE id = (SELECT id FROM read_model.card WHERE issue_event IN (SELECT issue_event FROM read_model.word) LIMIT 1)', /card of the read models/],
    ['UPDATE read_model.cursor SET sequence = sequence - 1 WHERE sequence > 1', /cursor/],
  ]) {
    await postgres.sql('DROP SCHEMA IF EXISTS kept CASCADE', database);
    await postgres.sql(`CREATE SCHEMA kept; CREATE TABLE kept.counter AS TABLE read_model.counter; CREATE TABLE kept.card AS TABLE read_model.card;
      CREATE TABLE kept.cursor AS TABLE read_model.cursor`, database);
    await postgres.sql(damage, database);
    const bad = await verify();
    assert.equal(bad.status, 1, damage);
    assert.equal(bad.models.result, 'damaged');
    assert.match(bad.models.check, check);
    for (const table of ['counter', 'card', 'cursor']) {
      await postgres.sql(`DELETE FROM read_model.${table}; INSERT INTO read_model.${table} SELECT * FROM kept.${table}`, database);
    }
  }
  await postgres.sql('DROP SCHEMA kept CASCADE', database);
  await postgres.sql('UPDATE read_model.counter SET count = count + 1', database);
  assert.equal((await verify()).status, 1);
  await service.spawn();
  await service.command('store', 'rebuild', 'all', '--tenant', 'acme');
  const mended = await verify();
  assert.equal(mended.models.result, 'ok', JSON.stringify(mended));
});

test('the namesake of a deleted tenant finds no read models', async () => {
  const first = await service.tenant('gone');
  await service.issue('gone', first, { member_id: 'old-1' });
  assert.equal((await get('/gone/api/v1/cards', first)).body.items.length, 1);
  await service.command('tenant', 'delete', 'gone', '--yes');
  const second = await service.tenant('gone');
  let page;
  await until(async () => (page = await get('/gone/api/v1/cards', second)).status === 200, 'the namesake', 30_000);
  assert.deepEqual(page.body.items, []); // the very first answer
});
