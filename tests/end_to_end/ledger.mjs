// What was acknowledged, and whether the service still says so: commands from a seed, their answers kept, and the check
// of every history and partition afterwards. Used by the tests that kill roles under load.
import assert from 'node:assert/strict';
import http from 'node:http';

const HISTORY_READERS = 8;
const ATTEMPTS = 400;

// mulberry32: small, seeded, good enough to choose commands.
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export class Ledger {
  constructor() {
    this.validations = new Map(); // validation_id → { card, sequence }
    this.changes = new Map(); // reason → card id
    this.issued = new Map(); // card id → tier
    this.counts = { acknowledged: 0, refused: 0, unknown: 0, retried: 0 };
  }

  // `body` null: refused, or its outcome is not known.
  record(command, body) {
    if (body === null) return;
    if (command.type === 'card.scan' || command.type === 'card.validate') {
      assert.ok(!this.validations.has(body.validation_id), 'a validation id came twice');
      this.validations.set(body.validation_id, { card: body.card.id, sequence: body.sequence });
    } else if (command.type === 'card.issue') {
      this.issued.set(body.id, command.key);
    } else {
      this.changes.set(command.body.reason, command.id);
    }
  }
}

// One logical command through one protocol: repeated with its key until somebody answers; without a key sent once.
// The body of its acknowledgement; null when it was refused or its outcome is not known.
export async function perform(send, command, ledger) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
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
  throw new Error(`${command.type} with key ${command.key}: no answer after ${ATTEMPTS} tries`);
}

export function overHttp(service, tenant, token, agent) {
  return async ({ type, id, body, key }) => {
    const headers = key === undefined ? {} : { 'Idempotency-Key': key };
    const target = { 'card.issue': '/api/v1/cards', 'card.scan': '/mapi/v1/scans', 'card.validate': `/mapi/v1/cards/${id}/validate` }[type]
      ?? `/api/v1/cards/${id}/${type.slice(5)}`;
    return service.request('POST', `/${tenant}${target}`, { token, body, headers, agent });
  };
}

export function overRouter(client) {
  return async ({ type, id, body, key }) => {
    const reply = await client.ask(type, id === undefined ? body : { id, ...body }, { key, timeout: 8_000 });
    if (reply.type === `${type}.ok`) return { status: 200, body: reply.body };
    return { status: reply.body.status, body: reply.body };
  };
}

// Shares of the commands that change which cards there are; the rest validates, suspends, reinstates and renews.
export const USUAL_MIX = { issue: 0.08, replace: 0.01, revoke: 0.01 };

export function choose(random, cards, number, mix = USUAL_MIX) {
  const card = cards[Math.floor(random() * cards.length)];
  const key = `k-${number}`;
  const keyed = random() < 0.5 ? key : undefined;
  const rare = random();
  if (rare < mix.issue) return { type: 'card.issue', body: { member_id: `member-${number % 500}`, tier: key, expires_at: '2036-01-01T00:00:00Z', activate: random() < 0.8 }, key };
  if (rare < mix.issue + mix.replace) return { type: 'card.replace', id: card.id, body: { reason: key }, key };
  if (rare < mix.issue + mix.replace + mix.revoke) return { type: 'card.revoke', id: card.id, body: { reason: key }, key };
  const dice = random();
  if (dice < 0.39) return { type: 'card.scan', body: { qr: card.qr.text, gate: key }, key: keyed };
  if (dice < 0.67) return { type: 'card.validate', id: card.id, body: { gate: key }, key: keyed };
  if (dice < 0.8) return { type: 'card.suspend', id: card.id, body: { reason: key }, key };
  if (dice < 0.945) return { type: 'card.reinstate', id: card.id, body: { reason: key }, key };
  return { type: 'card.renew', id: card.id, body: { reason: key, expires_at: new Date(2_100_000_000_000 + number * 60_000).toISOString() }, key };
}

async function eachPage(ask, take) {
  for (let cursor; ;) {
    const page = await ask(cursor);
    for (const item of page.items) take(item);
    if (page.next_cursor === null) return;
    cursor = page.next_cursor;
  }
}

async function checkHistory(service, { tenant, token, agent }, id, ledger, seen) {
  let expected = null;
  let oldest;
  await eachPage(async (cursor) => {
    const reply = await service.request('GET', `/${tenant}/api/v1/cards/${id}/history?limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { token, agent });
    assert.equal(reply.status, 200, `${reply.raw}`);
    return reply.body;
  }, (item) => {
    if (expected !== null) assert.equal(item.card_sequence, expected, `card ${id} has a gap`);
    expected = item.card_sequence - 1;
    oldest = item;
    const validation = ledger.validations.get(item.event_id);
    if (validation !== undefined) {
      assert.deepEqual({ card: id, sequence: item.sequence }, validation, `acknowledged validation ${item.event_id}`);
      seen.validations += 1;
    }
    const { reason } = item.data;
    if (reason?.startsWith('k-') && item.name !== 'CardIssued' && item.name !== 'CardActivated') {
      assert.ok(!seen.reasons.has(reason), `change ${reason} took effect twice`);
      seen.reasons.add(reason);
      const card = ledger.changes.get(reason);
      if (card !== undefined) {
        assert.equal(id, card, `acknowledged change ${reason}`);
        seen.changes += 1;
      }
    }
  });
  assert.equal(expected, 0, `card ${id} has no beginning`);
  const tier = ledger.issued.get(id);
  if (tier !== undefined) assert.equal(oldest.data.tier, tier);
}

// Every acknowledged command is in the history of its card, once, and no card's sequence has a gap. How many cards.
// No event is counted twice for two cards, since checkJournal sees that each id is there once.
export async function checkHistories(service, tenant, token, ledger) {
  const pending = [...new Set([...ledger.issued.keys(), ...[...ledger.validations.values()].map((entry) => entry.card), ...ledger.changes.values()])];
  const count = pending.length;
  const seen = { validations: 0, changes: 0, reasons: new Set() };
  const agent = new http.Agent({ keepAlive: true, maxSockets: HISTORY_READERS });
  await Promise.all(Array.from({ length: HISTORY_READERS }, async () => {
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) await checkHistory(service, { tenant, token, agent }, id, ledger, seen);
  }));
  agent.destroy();
  assert.equal(seen.validations, ledger.validations.size, 'acknowledged validations that are in a history');
  assert.equal(seen.changes, ledger.changes.size, 'acknowledged changes that are in a history');
  return count;
}

// No partition has a gap or an event twice, and what was published (place → event id, see EventFollower.places) is what
// the journal holds; what the subscriber missed it can repair from there.
export async function checkJournal(client, partitions, published) {
  const ids = new Set();
  let repaired = 0;
  let found = 0;
  for (let partition = 0; partition < partitions; partition += 1) {
    let last = 0;
    await eachPage(async (after) => (await client.ask('events.read', { partition, after: Number(after ?? 0), limit: 1000 })).body, (event) => {
      assert.equal(event.sequence, last + 1, `partition ${partition} has a gap`);
      last = event.sequence;
      assert.ok(!ids.has(event.event_id), `event ${event.event_id} twice`);
      ids.add(event.event_id);
      const place = `${partition}/${event.sequence}`;
      if (published.has(place)) {
        assert.equal(published.get(place), event.event_id, `${place} was published as another event`);
        found += 1;
      } else if (event.card !== undefined) {
        repaired += 1;
      }
    });
  }
  assert.equal(found, published.size, 'published but not in the journal');
  return { events: ids.size, repaired };
}
