// Lists, search and rollups: what the relay folds from the events. A list shows whatever was acknowledged before it was
// asked; the files of the read models may vanish at any time.
import assert from 'node:assert/strict';
import { appendFileSync, openSync, writeSync, closeSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Service, killRole, roles, until } from './service.mjs';

let service;
let token;

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme', '--partitions', '4');
});
after(() => service.destroy());

const get = (target, bearer = token) => service.request('GET', target, { token: bearer });
const list = async (query) => {
  const reply = await get(`/acme/api/v1/cards?${query}`);
  assert.equal(reply.status, 200, `${query}: ${reply.raw}`);
  return reply.body;
};
const members = async (query) => (await list(query)).items.map((card) => card.member_id);
const readFile = () => path.join(service.data, 'tenants', 'acme.read.db');

async function metric(name) {
  const text = (await service.request('GET', '/metrics')).raw.toString();
  const line = text.split('\n').find((row) => row.startsWith(`${name}{`) && row.includes('role="relay"'));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}

test('a name is found by its words, whatever their case and accents', async () => {
  await service.issue('acme', token, { member_id: 'n-1', holder_name: 'Zoë Müller-Świątek', tier: 'gold' });
  await service.issue('acme', token, { member_id: 'n-2', holder_name: "Seán O'Brien", tier: 'silver' });
  await service.issue('acme', token, { member_id: 'n-3', holder_name: 'Zoe Straße', tier: 'silver' });
  assert.deepEqual(await members('q=zoe'), ['n-3', 'n-1']);
  assert.deepEqual(await members('q=SWIATEK%20zoe'), ['n-1']);
  assert.deepEqual(await members('q=strasse'), ['n-3']);
  assert.deepEqual(await members('q=obrien'), ['n-2']);
  assert.deepEqual(await members("q=O%27BRIEN"), ['n-2']);
  assert.deepEqual(await members('q=zo'), [], 'words are found whole');
  assert.deepEqual(await members('q=zoe&tier=silver'), ['n-3']);
  assert.deepEqual(await members('q=silv'), ['n-3', 'n-2'], 'a tier by its beginning');
  const [card] = (await list('q=zoe&limit=1')).items;
  assert.equal(card.holder_name, 'Zoe Straße');
});

test('no plain name and no plain word of one stands in the file', async () => {
  await service.issue('acme', token, { member_id: 'n-4', holder_name: 'Quetzalcoatl Unmistakable' });
  assert.deepEqual(await members('q=unmistakable'), ['n-4']);
  const { readFileSync, existsSync } = await import('node:fs');
  for (const ending of ['', '-wal']) {
    if (!existsSync(readFile() + ending)) continue;
    const bytes = readFileSync(readFile() + ending).toString('latin1').toLowerCase();
    assert.ok(!bytes.includes('unmistakable') && !bytes.includes('quetzalcoatl'), `acme.read.db${ending}`);
  }
});

test('filters: tier, range of expiry, status; pages follow each other', async () => {
  for (let i = 0; i < 12; i++) {
    await service.issue('acme', token, { member_id: `e-${i}`, tier: 'range', expires_at: `20${40 + i}-01-01T00:00:00Z` });
  }
  assert.deepEqual((await members('tier=range&expires_after=2042-01-01T00:00:00Z&expires_before=2045-01-01T00:00:00Z')).sort(), ['e-2', 'e-3', 'e-4']);
  assert.deepEqual(await members('expires_after=2051-01-01T01:00:00%2B01:00'), ['e-11']);
  const seen = [];
  let target = '/acme/api/v1/cards?tier=range&status=active&limit=5';
  while (target !== null) {
    const reply = await get(target);
    seen.push(...reply.body.items);
    const link = /<([^>]+)>; rel="next"/.exec(reply.headers.link ?? '');
    assert.equal(link !== null, reply.body.next_cursor !== null);
    target = link === null ? null : link[1];
  }
  // Newest first; those of one millisecond stand in the order of their partitions.
  assert.deepEqual(seen.map((card) => card.member_id).sort(), Array.from({ length: 12 }, (_, i) => `e-${i}`).sort());
  const times = seen.map((card) => Date.parse(card.issued_at));
  assert.deepEqual(times, [...times].sort((a, b) => b - a));
  assert.equal((await get('/acme/api/v1/cards?expires_after=yesterday')).body.code, 'invalid_parameter');
  assert.equal((await get(`/acme/api/v1/cards?cursor=c1${'0'.repeat(16)}`)).body.code, 'invalid_cursor');
});

test('a list shows what was acknowledged just before', async () => {
  for (let i = 0; i < 40; i++) {
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
  const at = new Date(Date.now() - 3000).toISOString();
  for (let i = 0; i < 3; i++) await service.scan('counted', other, card.qr.text, { gate: 'north', at });
  await service.scan('counted', other, gone.qr.text, { gate: 'south' });
  const auditor = await service.token('counted', 'auditor');
  for (const grain of ['hour', 'day']) {
    const page = (await get(`/counted/api/v1/rollups?grain=${grain}`, auditor)).body;
    const total = (name) => page.items.reduce((sum, row) => sum + row[name], 0);
    assert.deepEqual([page.grain, page.next_cursor], [grain, null]);
    assert.deepEqual(['issued', 'activated', 'suspended', 'revoked', 'validated', 'refused'].map(total), [2, 2, 1, 0, 3, 1], grain);
    assert.deepEqual(page.items.at(-1).cards, { issued: 0, active: 1, suspended: 1, revoked: 0, expired: 0, replaced: 0 });
    const scans = page.items.flatMap((row) => row.scans);
    assert.deepEqual(scans.filter((scan) => scan.gate === 'south'), [{ gate: 'south', reason: 'suspended', count: 1 }]);
    assert.equal(scans.filter((scan) => scan.gate === 'north').reduce((sum, scan) => sum + scan.count, 0), 3);
    const delays = page.items.map((row) => row.delay).filter((delay) => delay !== null);
    assert.equal(delays.reduce((sum, delay) => sum + delay.count, 0), 3);
    for (const delay of delays) assert.ok(delay.p50_ms >= 2047 && delay.p99_ms <= 16383, JSON.stringify(delay));
  }
  const first = await get('/counted/api/v1/rollups?grain=hour&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&limit=20', auditor);
  assert.equal(first.body.items.length, 20);
  assert.equal(first.body.next_cursor, '2026-01-01T20:00:00.000Z');
  const next = await get(/<([^>]+)>/.exec(first.headers.link)[1], auditor);
  assert.deepEqual([next.body.items.length, next.body.items[0].start, next.body.next_cursor], [4, '2026-01-01T20:00:00.000Z', null]);
  assert.equal((await get('/counted/api/v1/rollups?grain=week', auditor)).body.code, 'invalid_parameter');
  assert.equal((await get('/counted/api/v1/rollups?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', auditor)).body.code, 'invalid_parameter');
  const validator = await service.token('counted', 'validator');
  assert.equal((await get('/counted/api/v1/rollups', validator)).status, 403);
});

test('the relay dies, and its files with it: lists come back by themselves', async () => {
  const before = (await list('limit=500')).items;
  const kill = async (between) => {
    await killRole(service, 'relay');
    between();
    await until(async () => {
      const reply = await get('/acme/api/v1/cards?limit=500').catch(() => null);
      return reply?.status === 200 && reply.body.behind === undefined;
    }, 'the list is back', 20_000);
    assert.deepEqual((await list('limit=500')).items, before);
  };
  await kill(() => {});
  await kill(() => { for (const ending of ['', '-wal', '-shm']) rmSync(readFile() + ending, { force: true }); });
  await kill(() => {
    const size = statSync(readFile()).size;
    const file = openSync(readFile(), 'r+');
    for (let at = 4096; at < size; at += 4096) writeSync(file, Buffer.alloc(64, 0x5a), 0, 64, at);
    closeSync(file);
    for (const ending of ['-wal', '-shm']) rmSync(readFile() + ending, { force: true });
  });
  await kill(() => appendFileSync(readFile(), 'rubbish'));
});

test('store rebuild makes them anew while lists and changes go on', async () => {
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
  assert.match(await service.command('store', 'rebuild', 'all'), /acme +\d+ events/);
  assert.equal((await service.tryCommand('store', 'rebuild', 'dreams', '--data', service.data)).status, 2);
  assert.equal((await service.tryCommand('store', 'rebuild', 'cards', '--tenant', 'nobody', '--data', service.data)).status, 1);
});

test('a deleted tenant leaves no read models behind, and its namesake finds none', async () => {
  const first = await service.tenant('gone');
  await service.issue('gone', first, { member_id: 'old-1' });
  assert.equal((await get('/gone/api/v1/cards', first)).body.items.length, 1);
  const file = path.join(service.data, 'tenants', 'gone.read.db');
  statSync(file);
  await service.command('tenant', 'delete', 'gone', '--yes');
  assert.throws(() => statSync(file), /ENOENT/);
  const second = await service.tenant('gone');
  let page;
  await until(async () => (page = await get('/gone/api/v1/cards', second)).status === 200, 'the namesake');
  assert.deepEqual(page.body.items, []); // the very first answer
});

test('namesakes follow each other under load, and none shows or gets anything of the one before', async () => {
  const first = (target, more) => until(async () => {
    const reply = await service.request(more.method ?? 'GET', target, more);
    return [200, 201].includes(reply.status) ? reply.body : undefined;
  }, target);
  const card = (member) => ({ member_id: member, expires_at: '2030-01-01T00:00:00Z' });
  let own = await service.tenant('again');
  for (let round = 0; round < 8; round++) {
    const old = own;
    let stop = false;
    const load = (async () => {
      while (!stop) {
        await service.request('POST', '/again/api/v1/cards', { token: old, body: card(`old-${round}`) });
        await service.request('GET', '/again/api/v1/cards', { token: old });
      }
    })();
    await service.command('tenant', 'delete', 'again', '--yes');
    own = await service.tenant('again');
    assert.deepEqual((await first('/again/api/v1/cards', { token: own })).items, [], `round ${round}`);
    await first('/again/api/v1/cards', { method: 'POST', token: own, body: card(`new-${round}`) });
    const { items } = await first('/again/api/v1/cards', { token: own });
    assert.deepEqual(items.map((item) => item.member_id), [`new-${round}`], `round ${round}`);
    const events = (await first('/again/api/v1/events?after=0', { token: own })).items;
    assert.deepEqual(events.map((event) => event.sequence), [1], `round ${round}`);
    stop = true;
    await load;
  }
});

test('lag is a metric and stands in the tree, and is zero when nothing happens', async () => {
  await service.issue('acme', token, { member_id: 'lag-1' });
  assert.deepEqual(await members('member_id=lag-1'), ['lag-1']);
  await until(async () => (await metric('digitalcard_projection_lag_events')) === 0, 'no lag');
  assert.equal(await metric('digitalcard_projection_lag_seconds'), 0);
  const relay = roles(await service.tree())['relay'];
  assert.equal(relay.status.projection.lag_events, 0);
  assert.ok(relay.status.projection.folded > 0);
});
