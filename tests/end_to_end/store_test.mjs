// What an operator does with stores: bring old ones up to date, refuse new ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { Postgres } from './postgres.mjs';
import { Service, until } from './service.mjs';

function sql(service, file, text) {
  return execFileSync('sqlite3', [path.join(service.data, file), text], { encoding: 'utf8' }).trim();
}

// The control store as its first schema had it, with the rows that this schema has a place for.
function makeFirstSchema(service) {
  const folder = path.join(service.data, 'control.db');
  const first = readFileSync(new URL('../../adapters/control_sqlite/migrations/0001.sql', import.meta.url), 'utf8');
  execFileSync('sqlite3', [`${folder}.old`], { input: `${first}\nPRAGMA application_id = ${0x44434331}; PRAGMA user_version = 1; DELETE FROM meta;` });
  const tables = sql(service, 'control.db.old', "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").split('\n');
  for (const table of tables) {
    const columns = sql(service, 'control.db.old', `SELECT group_concat(name) FROM pragma_table_info('${table}')`);
    sql(service, 'control.db.old', `ATTACH '${folder}' AS now; INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM now.${table}`);
  }
  for (const ending of ['', '-wal', '-shm']) rmSync(`${folder}${ending}`, { force: true });
  renameSync(`${folder}.old`, folder);
}

async function withService(body) {
  const service = await Service.start();
  try {
    await body(service);
  } finally {
    await service.destroy();
  }
}

test('store migrate brings an old control store up to date, and says what it did', () => withService(async (service) => {
  const token = await service.tenant('acme');
  await service.issue('acme', token);
  // A service of this version has done everything already.
  const running = JSON.parse(await service.command('store', 'migrate', '--json'));
  assert.equal(running.migrated, true);
  assert.ok(running.stores.every(({ found, known, result }) => found === known && result === 'ok'), JSON.stringify(running));
  assert.deepEqual(running.stores.map(({ store, tenant }) => [store, tenant]), [['control_sqlite', undefined], ['journal_sqlite', 'acme']]);
  await service.stop();
  makeFirstSchema(service);
  const known = running.stores[0].known;
  assert.match(await service.command('store', 'migrate'), new RegExp(`^\\(control store\\) +schema ${known}, was 1\\nacme +schema \\d+, nothing to do$`));
  assert.equal(sql(service, 'control.db', 'PRAGMA user_version'), String(known));
  await service.spawn();
  assert.equal((await service.request('GET', '/acme/api/v1/cards?limit=1', { token })).body.items.length, 1);
}));

test('a newer schema is refused with the file, the version found and the version known', () => withService(async (service) => {
  const token = await service.tenant('acme');
  await service.issue('acme', token);
  await service.stop();
  const journal = sql(service, 'tenants/acme.db', 'PRAGMA user_version');
  sql(service, 'tenants/acme.db', 'PRAGMA user_version = 98');
  const migrated = await service.tryCommand('store', 'migrate', '--data', service.data);
  assert.equal(migrated.status, 1);
  assert.match(migrated.stdout, new RegExp(`acme +FAILED: schema 98, this program knows ${journal}: run the newer version`));
  assert.equal(sql(service, 'tenants/acme.db', 'PRAGMA user_version'), '98');

  // The service runs for the other tenants; this one is refused, and the log names the file and both numbers.
  await service.spawn();
  const answer = await service.request('GET', '/acme/api/v1/cards?limit=1', { token });
  assert.ok([500, 503].includes(answer.status), String(answer.status));
  assert.match(service.log, /newer version[^\n]*acme\.db[^\n]*"schema":98,"schema_known":\d+/);
  await service.stop();

  const control = sql(service, 'control.db', 'PRAGMA user_version');
  sql(service, 'control.db', 'PRAGMA user_version = 99');
  for (const words of [['serve'], ['tenant', 'list'], ['store', 'migrate']]) {
    const refused = await service.tryCommand(...words, '--data', service.data);
    assert.equal(refused.status, 1, words.join(' '));
    assert.match(refused.stderr, new RegExp(`control\\.db has schema 99, this program knows ${control}: run the newer version`));
  }
  assert.equal(sql(service, 'control.db', 'PRAGMA user_version'), '99');
}));

test('store verify holds the read models against the fold of the events, also under load', () => withService(async (service) => {
  const token = await service.tenant('acme', '--partitions', '2');
  const cards = [];
  for (let i = 0; i < 6; i++) cards.push(await service.issue('acme', token, { member_id: `m-${i}`, holder_name: `Anna ${i}`, tier: i % 2 ? 'Gold' : undefined }));
  const verify = async () => {
    const result = await service.tryCommand('store', 'verify', '--json', '--data', service.data);
    return { status: result.status, ...JSON.parse(result.stdout).tenants[0] };
  };
  let scans = 0;
  const scan = async () => {
    for (const card of cards) assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
    scans += cards.length;
  };
  const load = (async () => { while (scans < 1200) await Promise.all([scan(), scan(), scan(), scan()]); })();
  while (scans < 900) assert.equal((await verify()).status, 0, 'under load');
  await load;
  await service.request('POST', `/acme/api/v1/cards/${cards[0].id}/revoke`, { token, body: { reason: 'lost' } });
  const events = 2 * cards.length + scans + 1;
  const whole = await until(async () => {
    const report = await verify();
    assert.equal(report.status, 0, JSON.stringify(report));
    return report.read_models.events === events ? report : null;
  }, 'the read models are up to date');
  assert.deepEqual(whole.read_models, { result: 'ok', events });
  await service.stop();
  const damages = [
    ['UPDATE card SET status = 2 WHERE status <> 2', /a card of the read models is the fold/],
    ["UPDATE card SET member_id = upper(member_id) WHERE number = 1", /a card of the read models is the fold/],
    ['DELETE FROM card WHERE number = 2', /a card of the read models is the fold/],
    ["INSERT INTO card SELECT 99, zeroblob(16), issued_at, 7, member_id, tier, status, expires_at, words, body FROM card LIMIT 1", /every card of the read models has events/],
    ['UPDATE counter SET count = count + 1 WHERE series = 1', /a rollup is the sum/],
    ["INSERT INTO counter VALUES (4, 1, 0, 1, 'ghost', 3)", /every rollup has events/],
    ["UPDATE cursor SET event_id = zeroblob(16) WHERE partition = 0", /a cursor of the read models/],
    ["UPDATE cursor SET sequence = sequence + 1 WHERE partition = 0", /a cursor of the read models/],
  ];
  const file = path.join(service.data, 'tenants/acme.read.db');
  const good = readFileSync(file);
  for (const [statement, pattern] of damages) {
    sql(service, 'tenants/acme.read.db', statement);
    const report = await verify();
    assert.deepEqual([report.status, report.read_models.result], [1, 'damaged'], statement);
    assert.match(report.read_models.check, pattern, statement);
    for (const ending of ['-wal', '-shm']) rmSync(`${file}${ending}`, { force: true });
    writeFileSync(file, good);
  }
  assert.equal((await verify()).status, 0);
  rmSync(file);
  assert.deepEqual((await verify()).read_models, { result: 'none' });
}));

for (const kind of ['SQLite', 'PostgreSQL']) {
  test(`store verify counts living cards, and a restore counts them anew (${kind})`, async () => {
    const postgres = kind === 'PostgreSQL' ? await Postgres.start() : null;
    const service = await Service.start({ arguments: postgres === null ? [] : ['--store', postgres.url] });
    const place = ['--data', service.data, ...(postgres === null ? [] : ['--store', postgres.url])];
    const store = (...words) => service.tryCommand('store', ...words, ...place);
    try {
      const token = await service.tenant('acme', '--partitions', '2');
      const act = async (card, what, body = {}) => assert.equal((await service.request('POST', `/acme/api/v1/cards/${card.id}/${what}`, { token, body })).status, 200, what);
      const cards = [];
      for (let i = 0; i < 9; i++) cards.push(await service.issue('acme', token, { member_id: `m-${i}`, activate: i > 0 }));
      await act(cards[1], 'revoke');
      await act(cards[2], 'suspend');
      await act(cards[3], 'suspend');
      await act(cards[3], 'reinstate');
      await act(cards[4], 'renew', { expires_at: '2036-01-01T00:00:00Z' });
      await act(cards[5], 'replace');
      await act(cards[6], 'suspend');
      await act(cards[6], 'revoke');
      for (const card of [cards[1], cards[7]]) await service.scan('acme', token, card.qr.text);
      const living = async () => JSON.parse(await service.command('tenant', 'show', 'acme', '--json', ...place)).tenant.usage.cards;
      assert.equal(await living(), 7, 'nine and a replacement, without two that were revoked and the one that was replaced');
      const good = await store('verify', '--tenant', 'acme');
      assert.equal(good.status, 0, good.stdout);
      await service.stop();
      const database = postgres && await postgres.tenantDatabase('acme');
      const plant = (statement) => (postgres === null ? sql(service, 'tenants/acme.db', statement) : postgres.sql(statement, database));
      await plant('UPDATE partition SET cards = cards + 2 WHERE id = 1');
      const wrong = await store('verify', '--tenant', 'acme', '--json');
      assert.equal(wrong.status, 1);
      const { problems } = JSON.parse(wrong.stdout).tenants[0];
      assert.deepEqual(problems.map((problem) => problem.check), ['the count of living cards is that of the events']);
      assert.match(problems[0].found, /^partition 1: counted \d+, by its events \d+$/);
      const file = path.join(service.data, 'counted.dcb');
      assert.equal((await store('backup', '--tenant', 'acme', file)).status, 0);
      await service.command('tenant', 'delete', 'acme', '--yes', ...place);
      const restored = await store('restore', '--tenant', 'acme', file);
      assert.equal(restored.status, 0, restored.stderr);
      assert.equal(await living(), 7, 'a restore counts what is there');
      assert.equal((await store('verify', '--tenant', 'acme')).status, 0);
    } finally {
      await service.destroy();
      await postgres?.destroy();
    }
  });
}

test('verify of a backup names a gap in the events of a card', () => withService(async (service) => {
  const token = await service.tenant('acme');
  const card = await service.issue('acme', token);
  for (let i = 0; i < 3; i++) assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  const sound = path.join(service.data, 'sound');
  await service.command('store', 'backup', '--tenant', 'acme', sound);
  assert.match(await service.command('store', 'verify', sound), /sound/);
  await service.stop();
  sql(service, 'tenants/acme.db', 'UPDATE event SET card_sequence = card_sequence + 1 WHERE id = (SELECT max(id) FROM event)');
  const broken = path.join(service.data, 'broken');
  await service.command('store', 'backup', '--tenant', 'acme', broken);
  const verified = await service.tryCommand('store', 'verify', broken);
  assert.equal(verified.status, 1);
  assert.match(verified.stderr, /broken: the events of a card have a gap/);
}));

test('a damaged and a missing journal answer 503 at once, are named and counted, and are mended by a restore', (t) => withService(async (service) => {
  const names = ['damaged', 'missing', 'healthy'];
  const tokens = {};
  const cards = {};
  for (const name of names) {
    tokens[name] = await service.tenant(name);
    cards[name] = await service.issue(name, tokens[name]);
  }
  const backup = path.join(service.data, 'backup');
  await service.command('store', 'backup', '--tenant', 'damaged', backup);
  await service.stop();
  const file = (name) => path.join(service.data, 'tenants', `${name}.db`);
  const descriptor = openSync(file('damaged'), 'r+');
  writeSync(descriptor, Buffer.alloc(200, 0x5a), 0, 200, 0);
  closeSync(descriptor);
  renameSync(file('missing'), `${file('missing')}.away`);
  await service.spawn();

  const expected = { damaged: [503, 'store_corrupt'], missing: [503, 'store_unavailable'], healthy: [200, undefined] };
  for (const name of names) {
    const began = Date.now();
    const reply = await service.scan(name, tokens[name], cards[name].qr.text);
    assert.deepEqual([reply.status, reply.body.code], expected[name]);
    t.diagnostic(`${name}: answered after ${Date.now() - began} ms`);
  }
  assert.match(service.log, /the journal file is damaged[^\n]*store restore[^\n]*tenants\/damaged\.db/);
  assert.match(service.log, /the journal of a tenant is missing[^\n]*"tenant":"missing"/);
  assert.ok(!readdirSync(path.join(service.data, 'tenants')).includes('missing.db'), 'no empty journal takes its place');
  const metrics = (await service.request('GET', '/metrics')).raw.toString();
  for (const reason of ['corrupt', 'missing']) {
    assert.match(metrics, new RegExp(`digitalcard_journal_open_failures_total\\{[^}]*reason="${reason}"[^}]*\\} [1-9]`));
  }

  // As the log says, while the service runs.
  const verified = await service.tryCommand('store', 'verify', '--data', service.data, '--tenant', 'damaged');
  assert.equal(verified.status, 1);
  assert.match(verified.stdout, /damaged +DAMAGED/);
  const refused = await service.tryCommand('tenant', 'delete', 'damaged', '--yes', '--data', service.data);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /damaged was not deleted, because no backup of it could be made/);
  assert.match(await service.command('tenant', 'show', 'damaged'), /damaged/);
  await service.command('tenant', 'delete', 'damaged', '--yes', '--without-backup');
  await service.command('store', 'restore', '--tenant', 'damaged', backup);
  const token = await service.token('damaged');
  await until(async () => (await service.scan('damaged', token, cards.damaged.qr.text)).body.reason === 'valid', 'the restored tenant works');
  renameSync(`${file('missing')}.away`, file('missing'));
  await until(async () => (await service.scan('missing', tokens.missing, cards.missing.qr.text)).body.reason === 'valid', 'a file that is put back is opened');
}));
