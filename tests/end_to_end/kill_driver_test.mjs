// Mixed commands by HTTP and ROUTER while each role in turn gets kill -9. Afterwards every acknowledged command is in
// the history exactly once, no sequence has a gap, and a subscriber that repaired its gaps has every event once.
// 50,000 commands and 20 kills; ten and five times that with DIGITALCARD_TEST_FULL=1. DIGITALCARD_TEST_SEED repeats a
// run's choices of commands (not the moments of the kills).
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { ApiClient, EventFollower } from './clients.mjs';
import { Service, until } from './service.mjs';

const FULL = process.env.DIGITALCARD_TEST_FULL === '1';
const COMMANDS = FULL ? 500_000 : 50_000;
const KILLS = FULL ? 100 : 20;
const KILL_INTERVAL_MS = 600; // four roles in turn: below the five restarts in ten seconds that end the service
const CARDS = 200;
const WORKERS = 16; // by each protocol
const PARTITIONS = 4;
const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);

// mulberry32: small, seeded, good enough to choose commands.
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

class Ledger {
  constructor() {
    this.validations = new Map(); // validation_id → { card, sequence }
    this.changes = new Map(); // reason → { card, name }
    this.issued = new Map(); // card id → tier
    this.counts = { acknowledged: 0, refused: 0, unknown: 0, retried: 0 };
  }
}

// One logical command through one protocol: repeated with its key until somebody answers; without a key sent once.
async function perform(send, command, ledger) {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    let reply;
    try {
      reply = await send(command);
    } catch {
      reply = { status: 0 };
    }
    if (reply.status >= 200 && reply.status < 300) {
      ledger.counts.acknowledged += 1;
      return reply.body;
    }
    const transient = reply.status === 0 || reply.status === 503 || (reply.status === 409 && reply.body?.code === 'idempotency_key_in_flight');
    if (!transient) {
      ledger.counts.refused += 1;
      if (reply.status !== 409) throw new Error(`${command.type}: ${reply.status} ${JSON.stringify(reply.body)}`);
      return null;
    }
    if (command.key === undefined) {
      ledger.counts.unknown += 1;
      return null;
    }
    ledger.counts.retried += 1;
    await new Promise((resolve) => setTimeout(resolve, 10 + Math.random() * 20));
  }
  throw new Error(`${command.type} with key ${command.key}: no answer after 400 tries`);
}

function overHttp(service, token, agent) {
  return async ({ type, id, body, key }) => {
    const headers = key === undefined ? {} : { 'Idempotency-Key': key };
    const target = { 'card.issue': '/acme/api/v1/cards', 'card.scan': '/acme/mapi/v1/scans', 'card.validate': `/acme/mapi/v1/cards/${id}/validate` }[type]
      ?? `/acme/api/v1/cards/${id}/${type.slice(5)}`;
    return service.request('POST', target, { token, body, headers, agent });
  };
}

function overRouter(client) {
  return async ({ type, id, body, key }) => {
    const reply = await client.ask(type, id === undefined ? body : { id, ...body }, { key, timeout: 8_000 });
    if (reply.type === `${type}.ok`) return { status: 200, body: reply.body };
    return { status: reply.body.status, body: reply.body };
  };
}

function choose(random, cards, number) {
  const card = cards[Math.floor(random() * cards.length)];
  const dice = random();
  const key = `k-${number}`;
  const keyed = random() < 0.5 ? key : undefined;
  if (dice < 0.35) return { type: 'card.scan', body: { qr: card.qr.text, gate: key }, key: keyed };
  if (dice < 0.6) return { type: 'card.validate', id: card.id, body: { gate: key }, key: keyed };
  if (dice < 0.72) return { type: 'card.suspend', id: card.id, body: { reason: key }, key };
  if (dice < 0.85) return { type: 'card.reinstate', id: card.id, body: { reason: key }, key };
  if (dice < 0.9) return { type: 'card.renew', id: card.id, body: { reason: key, expires_at: new Date(2_100_000_000_000 + number * 60_000).toISOString() }, key };
  if (dice < 0.98) return { type: 'card.issue', body: { member_id: `member-${number % 500}`, tier: key, expires_at: '2036-01-01T00:00:00Z', activate: random() < 0.8 }, key };
  if (dice < 0.99) return { type: 'card.replace', id: card.id, body: { reason: key }, key };
  return { type: 'card.revoke', id: card.id, body: { reason: key }, key };
}

function record(ledger, cards, command, body) {
  if (body === null) return;
  if (command.type === 'card.scan' || command.type === 'card.validate') {
    assert.ok(!ledger.validations.has(body.validation_id), 'a validation id came twice');
    ledger.validations.set(body.validation_id, { card: body.card.id, sequence: body.sequence });
  } else if (command.type === 'card.issue') {
    ledger.issued.set(body.id, command.key);
    if (cards.length < 2000) cards.push(body);
  } else {
    ledger.changes.set(command.body.reason, command.id);
  }
}

async function readAll(ask) {
  const items = [];
  for (let cursor; ;) {
    const page = await ask(cursor);
    items.push(...page.items);
    if (page.next_cursor === null) return items;
    cursor = page.next_cursor;
  }
}

async function journalOf(client, partition) {
  return readAll(async (after) => (await client.ask('events.read', { partition, after: Number(after ?? 0), limit: 1000 })).body);
}

async function killInTurn(service, done, total) {
  const killed = {};
  const names = (await service.tree()).roles.map((role) => role.name);
  let killedAt = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const name = names[kill % names.length];
    // Spread over the run: the next kill when its share of the commands is done.
    await until(() => done() >= (total * (kill + 1)) / (KILLS + 2), 'the commands go on', 120_000);
    await until(() => Date.now() - killedAt >= KILL_INTERVAL_MS, 'the next kill is due');
    const tree = await until(() => service.tree().catch(() => null), 'the tree answers');
    const role = tree.roles.find((candidate) => candidate.name === name);
    if (role?.pid > 0) {
      process.kill(role.pid, 'SIGKILL');
      killedAt = Date.now();
      killed[name] = (killed[name] ?? 0) + 1;
    }
    await until(async () => {
      const now = (await service.tree().catch(() => null))?.roles.find((candidate) => candidate.name === name);
      return now !== undefined && now.pid > 0 && now.pid !== role.pid && now.state === 'ready';
    }, `${name} is back after kill -9`, 20_000);
  }
  return killed;
}

async function checkHistories(service, token, ledger) {
  const histories = new Map();
  const ids = new Set([...ledger.issued.keys(), ...[...ledger.validations.values()].map((entry) => entry.card), ...ledger.changes.values()]);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const pending = [...ids];
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const items = await readAll(async (cursor) => {
        const reply = await service.request('GET', `/acme/api/v1/cards/${id}/history?limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { token, agent });
        assert.equal(reply.status, 200, `${reply.raw}`);
        return reply.body;
      });
      assert.deepEqual(items.map((item) => item.card_sequence), items.map((_, index) => items.length - index), `card ${id} has a gap`);
      histories.set(id, items);
    }
  }));
  agent.destroy();
  const eventIds = new Map();
  const reasons = new Map();
  for (const [id, items] of histories) {
    for (const item of items) {
      assert.ok(!eventIds.has(item.event_id), 'an event id twice');
      eventIds.set(item.event_id, { card: id, sequence: item.sequence });
      if (item.data.reason?.startsWith('k-') && item.name !== 'CardIssued' && item.name !== 'CardActivated') {
        reasons.set(item.data.reason, [...(reasons.get(item.data.reason) ?? []), id]);
      }
    }
  }
  for (const [validation, expected] of ledger.validations) assert.deepEqual(eventIds.get(validation), expected, `acknowledged validation ${validation}`);
  for (const [reason, id] of ledger.changes) assert.deepEqual(reasons.get(reason), [id], `acknowledged change ${reason}`);
  for (const [reason, where] of reasons) assert.equal(where.length, 1, `change ${reason} took effect ${where.length} times`);
  for (const [id, tier] of ledger.issued) assert.equal(histories.get(id).at(-1).data.tier, tier);
  return histories;
}

test(`${COMMANDS} commands through ${KILLS} kills: nothing acknowledged is lost or doubled`, { timeout: 1_500_000 }, async (t) => {
  const service = await Service.start({ arguments: ['--shards', '2'] });
  try {
    const token = await service.tenant('acme', '--partitions', String(PARTITIONS));
    const random = generator(SEED);
    const ledger = new Ledger();
    const cards = [];
    for (let index = 0; index < CARDS; index += 1) cards.push(await service.issue('acme', token, { member_id: `first-${index}` }));
    const follower = new EventFollower(service.events, 'acme');
    await follower.ready();
    const agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
    const client = new ApiClient(service.api, 'acme', token);
    const senders = [overHttp(service, token, agent), overRouter(client)];
    let next = 0;
    let finished = 0;
    const started = Date.now();
    const work = Promise.all(Array.from({ length: WORKERS * 2 }, async (_, worker) => {
      const send = senders[worker % 2];
      while (next < COMMANDS) {
        const command = choose(random, cards, next++);
        record(ledger, cards, command, await perform(send, command, ledger));
        finished += 1;
      }
    }));
    const killed = await Promise.race([killInTurn(service, () => finished, COMMANDS), work.then(() => new Promise(() => {}))]);
    await work;
    const seconds = (Date.now() - started) / 1000;
    agent.destroy();

    const histories = await checkHistories(service, token, ledger);
    const journal = new Map();
    let repaired = 0;
    let doubled = 0;
    const seen = new Map();
    for (const event of follower.events) {
      const place = `${event.header.partition}/${event.header.sequence}`;
      if (seen.has(place)) {
        doubled += 1;
        assert.equal(seen.get(place), event.header.event_id, 'one sequence with two events');
      }
      seen.set(place, event.header.event_id);
    }
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const events = await journalOf(client, partition);
      assert.deepEqual(events.map((event) => event.sequence), events.map((_, index) => index + 1), `partition ${partition} has a gap`);
      for (const event of events) {
        const place = `${partition}/${event.sequence}`;
        journal.set(place, event.event_id);
        if (seen.has(place)) assert.equal(seen.get(place), event.event_id);
        else if (event.card !== undefined) repaired += 1;
      }
    }
    for (const place of seen.keys()) assert.ok(journal.has(place), `published but not in the journal: ${place}`);
    assert.equal(new Set(journal.values()).size, journal.size, 'an event id twice in the journal');
    const restarts = Object.fromEntries((await service.tree()).roles.map((role) => [role.name, role.restarts]));
    client.close();
    follower.close();
    await service.stop();
    const verified = await service.command('store', 'verify', '--tenant', 'acme', '--json');
    t.diagnostic(JSON.stringify({ seed: SEED, commands: COMMANDS, seconds, rate: Math.round(COMMANDS / seconds), ...ledger.counts, killed, restarts,
      cards: histories.size, events_in_journal: journal.size, published: seen.size, repaired_by_subscriber: repaired, delivered_twice: doubled,
      validations_checked: ledger.validations.size, changes_checked: ledger.changes.size, issues_checked: ledger.issued.size, verify: JSON.parse(verified) }));
    assert.equal(Object.values(killed).reduce((sum, count) => sum + count, 0), KILLS);
  } catch (error) {
    t.diagnostic(`seed ${SEED}; the service's last lines:\n${service.log.slice(-4000)}`);
    throw error;
  } finally {
    await service.destroy();
  }
});
