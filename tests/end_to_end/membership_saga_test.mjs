// Events of the membership context at length: a member with very many cards through kills, a storm of events through
// crashes of the adapters role, and what a dead or hanging context costs the gate. In full with DIGITALCARD_TEST_FULL=1.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { decode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { Membership } from '../peers/membership.mjs';
import { Service, killRole, roles, until } from './service.mjs';

const FULL = process.env.DIGITALCARD_TEST_FULL === '1';
const CARDS = FULL ? 10_000 : 1_500;
const EVENTS = FULL ? 1_000_000 : 20_000;
const KILLS = FULL ? 20 : 4;
const MEMBERS = 200;
const PAIRS = 5;
const RUN_MS = FULL ? 5_000 : 700;
const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);

function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 4294967296;
  };
}

async function start(t, more = []) {
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*' });
  const service = await Service.start({ arguments: ['--membership-url', context.url, '--membership-events', context.events,
    '--breaker', 'open_ms=500 jitter_permille=0 deadline_ms=500 queue=4096', '--shards', '1', ...more] });
  t.after(async () => { await service.destroy(); await context.stop(); });
  return { context, service };
}

async function inParallel(count, width, work) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  }));
}

test(`a cancelled member with ${CARDS} cards: every card refuses within 2 s, through a kill of any role`, { timeout: 900_000 }, async (t) => {
  const { context, service } = await start(t);
  for (const victim of [null, 'shard-0', 'adapters', 'relay', 'front-0']) {
    const tenant = victim === null ? 'calm' : victim.replace('-0', '');
    const name = `t-${tenant}`;
    const token = await service.tenant(name, '--partitions', '4');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    context.member(name, 'many');
    const count = victim === null || FULL ? CARDS : Math.round(CARDS / 5);
    const cards = [];
    await inParallel(count, 32, async () => {
      const reply = await service.request('POST', `/${name}/api/v1/cards`, { token, agent,
        body: { member_id: 'many', expires_at: '2035-01-01T00:00:00Z', activate: true } });
      assert.equal(reply.status, 201);
      cards.push(reply.body);
    });
    const ends = [];
    const subscriber = new zmq.Subscriber({ linger: 0 });
    t.after(() => subscriber.close());
    subscriber.connect(service.events);
    subscriber.subscribe(`digitalcard.${name}.CardsRevoked`);
    (async () => { for await (const [, , body] of subscriber) ends.push(decode(body)); })().catch(() => {});
    const cancelledAt = Date.now();
    context.happen(name, 'cancel', 'many');
    if (victim !== null) await killRole(service, victim);
    await until(() => Date.now() - cancelledAt >= 2000, 'two seconds', 3000);
    const scan = async (card) => {
      for (;;) { // a front that restarts breaks connections: who scans asks again
        const reply = await service.request('POST', `/${name}/mapi/v1/scans`, { token, agent, body: { qr: card.qr.text, gate: 'n' } }).catch(() => null);
        if (reply?.status === 200) return reply.body.reason;
      }
    };
    const seen = new Map();
    await inParallel(count, 32, async (index) => {
      const reason = await scan(cards[index]);
      seen.set(reason, (seen.get(reason) ?? 0) + 1);
    });
    t.diagnostic(`${victim ?? 'no kill'}: ${count} cards 2 s after the cancellation: ${JSON.stringify([...seen])}`);
    assert.equal(seen.get('valid') ?? 0, 0);
    await until(async () => (await service.request('GET', `/${name}/api/v1/cards?status=revoked&limit=1`, { token })).body.items.length === 1
      && (await service.request('GET', `/${name}/api/v1/cards?status=active&limit=1`, { token })).body.items.length === 0, 'all are revoked', 60_000);
    await inParallel(count, 32, async (index) => assert.equal(await scan(cards[index]), 'revoked'));
    if (victim === null || victim === 'adapters') {
      await until(() => ends.length === 1, 'CardsRevoked', 10_000);
      assert.deepEqual(ends[0], { member_id: 'many', count });
    }
    const history = (await service.request('GET', `/${name}/api/v1/cards/${cards[0].id}/history`, { token })).body;
    assert.equal(history.items.filter((item) => item.name === 'CardRevoked').length, 1);
    agent.destroy();
  }
});

test(`${EVENTS} events with duplicates, disorder and gaps, ${KILLS} crashes of the adapters role: as the reference fold`, { timeout: 3_000_000 }, async (t) => {
  const { context, service } = await start(t);
  t.diagnostic(`DIGITALCARD_TEST_SEED=${SEED}`);
  const random = generator(SEED);
  const token = await service.tenant('acme', '--partitions', '4');
  const cards = [];
  await inParallel(MEMBERS, 16, async (index) => {
    context.member('acme', `m-${index}`);
    cards[index] = await service.issue('acme', token, { member_id: `m-${index}` });
  });
  const reference = new Map();
  const late = [];
  const began = Date.now();
  for (let i = 0; i < EVENTS; i += 1) {
    const id = `m-${Math.floor(random() * MEMBERS)}`;
    const last = reference.get(id);
    const what = i > EVENTS - MEMBERS && random() < 0.2 ? 'cancel' : last === 'suspend' ? 'reinstate' : 'suspend';
    reference.set(id, last === 'cancel' && what === 'suspend' ? 'cancel' : last === 'cancel' ? 'cancel' : what);
    if (last === 'cancel') { context.happen('acme', 'update', id); continue; }
    context.happen('acme', what, id, {}, (event) => {
      const luck = random();
      const out = [];
      if (luck < 0.02) return out; // lost: a gap
      if (luck < 0.07) late.push(event);
      else out.push(event);
      if (luck > 0.9) out.push(event);
      if (late.length > 3) out.push(late.shift());
      return out;
    });
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (i > 0 && i % Math.floor(EVENTS / (KILLS + 1)) === 0) {
      await killRole(service, 'adapters');
    }
  }
  const total = context.log('acme').length;
  // The adapters role asks the replay endpoint for what comes after all it has handed over: the last page is empty.
  let asked = 0;
  const page = context.page.bind(context);
  context.page = (tenant, after, limit) => { asked = Math.max(asked, after); return page(tenant, after, limit); };
  await until(async () => {
    const status = roles(await service.tree()).adapters.status;
    return asked >= total && status.membership?.events_waiting === 0;
  }, 'all events are applied', 1_800_000);
  t.diagnostic(`${total} events in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  const wanted = { cancel: 'revoked', suspend: 'suspended', reinstate: 'valid' };
  await inParallel(MEMBERS, 16, async (index) => {
    const expected = wanted[reference.get(`m-${index}`)] ?? 'valid';
    await until(async () => (await service.scan('acme', token, cards[index].qr.text)).body.reason === expected, `m-${index} is ${expected}`, 30_000);
    // Each effect once: suspended and reinstated take turns, and nothing follows a revocation.
    const names = (await service.request('GET', `/acme/api/v1/cards/${cards[index].id}/history?limit=500`, { token })).body.items
      .map((item) => item.name).filter((name) => /Suspended|Reinstated|Revoked/.test(name)).reverse();
    for (let i = 1; i < names.length; i += 1) {
      assert.notEqual(names[i], names[i - 1]);
      assert.notEqual(names[i - 1], 'CardRevoked');
    }
  });
});

async function p99(service, token, cards, milliseconds) {
  const times = [];
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const end = performance.now() + milliseconds;
  await Promise.all(Array.from({ length: 16 }, async (_, worker) => {
    for (let i = worker; performance.now() < end; i += 1) {
      const began = performance.now();
      const reply = await service.request('POST', '/acme/mapi/v1/scans', { token, agent, body: { qr: cards[i % cards.length].qr.text, gate: 'n' } });
      assert.equal(reply.body.reason, 'valid');
      times.push(performance.now() - began);
    }
  }));
  agent.destroy();
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)];
}

for (const [what, spoil, mend] of [
  ['dead', (context) => context.die(), (context) => context.returnToLife()],
  ['hanging', (context) => { context.mode = 'never'; }, (context) => { context.mode = 'good'; }],
]) {
  test(`a context that is ${what} does not slow the gate: ${PAIRS} alternating runs`, { timeout: 300_000 }, async (t) => {
    const { context, service } = await start(t);
    const token = await service.tenant('acme');
    const cards = [];
    for (let i = 0; i < 50; i += 1) {
      context.member('acme', `m-${i}`);
      cards.push(await service.issue('acme', token, { member_id: `m-${i}` }));
    }
    await p99(service, token, cards, RUN_MS); // warm
    const good = [];
    const bad = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      good.push(await p99(service, token, cards, RUN_MS));
      await spoil(context);
      bad.push(await p99(service, token, cards, RUN_MS));
      await mend(context);
    }
    const show = (values) => values.map((value) => value.toFixed(1)).join(' ');
    t.diagnostic(`p99 in ms, good: ${show(good)}; ${what}: ${show(bad)}`);
    const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    // The machine is shared: only a gate that waits for the context (its deadline is 500 ms) is far outside.
    assert.ok(median(bad) <= 2 * Math.max(...good) + 5, `${median(bad)} against ${Math.max(...good)}`);
  });
}
