// The whole service on PostgreSQL: the life of a card, a restart, and crashes of the database and of roles under load,
// after which every acknowledged scan is in the history exactly once and no sequence has a gap.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { Service, until } from './service.mjs';

const COMMANDS = 3000;
const CRASHES = 4;
const PARTITIONS = 4;
let postgres;
let service;
let token;

before(async () => {
  postgres = await Postgres.start();
  process.env.DIGITALCARD_STORE = postgres.url; // commands of the tests find it there as well
  service = await Service.start({ arguments: ['--shards', '2'] });
  token = await service.tenant('acme', '--partitions', String(PARTITIONS));
});
after(async () => {
  await service?.destroy();
  await postgres?.destroy();
});

async function readAll(page) {
  const items = [];
  for (let cursor; ;) {
    // The relay's connections end with the server as well; it answers 503 until it has opened the journal anew.
    const reply = await until(async () => {
      const answer = await page(cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`);
      return answer.status === 503 ? null : answer;
    }, 'the relay reads again');
    assert.equal(reply.status, 200, `${reply.raw}`);
    items.push(...reply.body.items);
    if (reply.body.next_cursor === null) return items;
    cursor = reply.body.next_cursor;
  }
}

test('issue, activate, scan, list, history, revoke', async () => {
  const card = await service.issue('acme', token, { member_id: 'm-42', holder_name: 'Grace Hopper', tier: 'gold' });
  assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  assert.equal((await service.act('acme', token, card.id, 'revoke', { reason: 'lost' })).body.status, 'revoked');
  assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'revoked');
  for (const filter of ['member_id=m-42', 'status=revoked', 'q=GOL']) {
    const page = await service.request('GET', `/acme/api/v1/cards?${filter}`, { token });
    assert.deepEqual(page.body.items.map((item) => [item.id, item.holder_name]), [[card.id, 'Grace Hopper']], filter);
  }
  const history = await service.request('GET', `/acme/api/v1/cards/${card.id}/history`, { token });
  assert.deepEqual(history.body.items.map((item) => item.name),
    ['CardValidationRefused', 'CardRevoked', 'CardValidated', 'CardActivated', 'CardIssued']);
});

test('a repeat with the same key gets the first reply, also after a restart of the service', async () => {
  const send = () => service.request('POST', '/acme/api/v1/cards', { token, headers: { 'Idempotency-Key': 'once' },
    body: { member_id: 'm-7', expires_at: '2035-01-01T00:00:00Z' } });
  const first = await send();
  assert.equal(first.status, 201);
  await service.stop();
  await service.spawn();
  const again = await until(async () => { const reply = await send(); return reply.status === 503 ? null : reply; }, 'the service answers');
  assert.equal(again.status, 201);
  assert.deepEqual(again.raw, first.raw);
});

test(`${COMMANDS} scans through ${CRASHES} crashes of PostgreSQL and of shards: nothing lost, nothing doubled`, { timeout: 240_000 }, async () => {
  const cards = [];
  for (let index = 0; index < 20; index += 1) cards.push(await service.issue('acme', token, { member_id: `load-${index}` }));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const acknowledged = new Map();
  let next = 0;
  const worker = async () => {
    while (next < COMMANDS) {
      const number = next;
      next += 1;
      const card = cards[number % cards.length];
      for (let attempt = 0; ; attempt += 1) {
        assert.ok(attempt < 2000, `scan ${number} is never answered`);
        const reply = await service.request('POST', '/acme/mapi/v1/scans', { token, agent, headers: { 'Idempotency-Key': `scan-${number}` },
          body: { qr: card.qr.text, gate: `gate-${number}` } }).catch(() => ({ status: 0 }));
        if (reply.status === 200) {
          assert.equal(reply.body.reason, 'valid');
          acknowledged.set(reply.body.validation_id, { card: card.id, gate: `gate-${number}`, sequence: reply.body.sequence });
          break;
        }
        assert.ok([0, 409, 503].includes(reply.status), `${reply.status} ${reply.raw}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const crashes = (async () => {
    for (let crash = 0; crash < CRASHES; crash += 1) {
      await until(() => next >= (COMMANDS * (crash + 1)) / (CRASHES + 2), 'the scans go on', 120_000);
      if (crash % 2 === 0) {
        await postgres.crash();
        await postgres.spawn();
      } else {
        process.kill((await service.tree()).roles.find((role) => role.name === 'shard-1').pid, 'SIGKILL');
      }
    }
  })();
  await Promise.all([crashes, ...Array.from({ length: 16 }, worker)]);
  agent.destroy();
  assert.equal(acknowledged.size, COMMANDS);

  const gates = new Map();
  for (const card of cards) {
    const items = await readAll((cursor) => service.request('GET', `/acme/api/v1/cards/${card.id}/history?limit=500${cursor}`, { token }));
    assert.deepEqual(items.map((item) => item.card_sequence), items.map((_, index) => items.length - index), 'a card has no gap');
    for (const item of items.filter((one) => one.name === 'CardValidated')) {
      assert.deepEqual(acknowledged.get(item.event_id), { card: card.id, gate: item.data.gate, sequence: item.sequence });
      assert.ok(!gates.has(item.data.gate), 'a scan counts once');
      gates.set(item.data.gate, item);
    }
  }
  assert.equal(gates.size, COMMANDS);
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const events = [];
    for (;;) {
      const after = events.length === 0 ? 0 : events.at(-1).sequence;
      const page = await service.request('GET', `/acme/api/v1/events?partition=${partition}&after=${after}&limit=1000`, { token });
      if (page.body.items.length === 0) break;
      events.push(...page.body.items);
    }
    assert.deepEqual(events.map((event) => event.sequence), events.map((_, index) => index + 1), 'a partition has no gap');
  }
  const verified = JSON.parse(await service.command('store', 'verify', '--json'));
  assert.equal(verified.sound, true, JSON.stringify(verified));
});

// The fields of a snapshot by name, first in its document: only the fold of the events can tell that one is wrong.
test('store verify holds every snapshot against the fold of its events', async () => {
  const before = JSON.parse(await service.command('store', 'verify', '--json'));
  assert.equal(before.sound, true, JSON.stringify(before));
  assert.ok(before.tenants[0].snapshots_folded > 0, JSON.stringify(before));
  const database = (await postgres.sql("SELECT datname FROM pg_database WHERE datname LIKE '%acme%'")).split('\n')[0];
  const [id, body] = (await postgres.sql("SELECT id, encode(body, 'hex') FROM card ORDER BY number LIMIT 1", database)).split('|');
  const member = (await postgres.sql(`SELECT encode(member_id, 'hex') FROM card WHERE id = '${id}'`, database));
  assert.ok(body.includes(member));
  const changed = body.replace(member, member.replace(/..$/, '7a'));
  await postgres.sql(`UPDATE card SET body = decode('${changed}', 'hex') WHERE id = '${id}'`, database);
  const after = await service.tryCommand('store', 'verify', '--json', '--data', service.data, '--store', postgres.url);
  await postgres.sql(`UPDATE card SET body = decode('${body}', 'hex') WHERE id = '${id}'`, database);
  assert.equal(after.status, 1);
  assert.deepEqual(JSON.parse(after.stdout).tenants[0].problems, [{ check: 'a snapshot is the fold of its events', found: id }]);
  assert.equal(JSON.parse(await service.command('store', 'verify', '--json')).sound, true);
});

test('a URL never shows its password', async () => {
  const other = mkdtempSync(path.join(tmpdir(), 'dc-'));
  const wrong = await service.tryCommand('tenant', 'create', 'other', '--data', other, '--store',
    postgres.url.replace('secret@', 'mistaken@'));
  rmSync(other, { recursive: true, force: true });
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /password authentication failed/);
  assert.ok(!service.log.includes('secret@') && !wrong.stderr.includes('mistaken'));
});
