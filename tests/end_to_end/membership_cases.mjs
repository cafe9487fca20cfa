// What the tests of the membership context share, on whichever store: how a service with a fake context is started, and the
// cases that run on both stores (membership_test, membership_saga_test, membership_postgres_test).
import assert from 'node:assert/strict';
import http from 'node:http';
import { decode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { Membership } from '../peers/membership.mjs';
import { Service, killRole, metricOf, roles, until } from './service.mjs';

export const QUICK = 'failures=5 open_ms=400 open_ms_max=1000 jitter_permille=0 deadline_ms=300 slow_ms=250 pause_ms=20';

export async function start(t, { settings = QUICK, policy, stale, events = true, overZmq = false, tenant = 'acme' } = {}) {
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*', api: overZmq ? 'tcp://127.0.0.1:*' : undefined });
  const more = ['--membership-url', overZmq ? context.api : context.url, '--breaker', settings, '--shards', '1'];
  if (events) more.push('--membership-events', context.events);
  if (policy !== undefined) more.push('--membership-policy', policy);
  if (stale !== undefined) more.push('--membership-stale-s', String(stale));
  const service = await Service.start({ arguments: more });
  t.after(async () => { await service.destroy(); await context.stop(); });
  return { context, service, token: tenant === null ? undefined : await service.tenant(tenant) };
}

export async function breaker(service) {
  const list = JSON.parse(await service.command('breaker', 'list', '--json'));
  return list.breakers.find((each) => each.tenant === 'acme' && each.adapter === 'membership') ?? { state: 'closed' };
}

export const verdict = async (service, token, card) => (await service.scan('acme', token, card.qr.text)).body;

export async function issue(service, token, context, member, more = {}) {
  context.member('acme', member);
  return service.issue('acme', token, { member_id: member, ...more });
}

export const applied = async (service) => roles(await service.tree()).adapters.status.membership.events_applied;

export const SLOW_STORE = 'open_ms=500 jitter_permille=0 deadline_ms=500 queue=4096';

export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 4294967296;
  };
}

export async function inParallel(count, width, work) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) {
      const index = next;
      next += 1;
      if (await work(index) === false) return;
    }
  }));
}

export async function eventsOfAMember({ context, service, token }) {
  const one = await issue(service, token, context, 'm-1');
  const two = await issue(service, token, context, 'm-1');
  await service.act('acme', token, two.id, 'suspend', { reason: 'lost' });
  context.happen('acme', 'suspend', 'm-1');
  await until(async () => (await verdict(service, token, one)).reason === 'suspended', 'suspended by its member', 10_000);
  context.happen('acme', 'reinstate', 'm-1');
  await until(async () => (await verdict(service, token, one)).reason === 'valid', 'reinstated', 10_000);
  assert.equal((await verdict(service, token, two)).reason, 'suspended'); // its issuer's suspension stands
  context.happen('acme', 'renew', 'm-1', { valid_until: '2040-01-01T00:00:00Z' });
  await until(async () => (await service.request('GET', `/acme/api/v1/cards/${one.id}`, { token })).body.expires_at.startsWith('2040'), 'renewed', 10_000);
  context.happen('acme', 'cancel', 'nobody-has-a-card');
  context.happen('acme', 'update', 'm-1');
  context.happen('acme', 'MembershipDreamtOf', 'm-1'); // unknown: means nothing here
  context.happen('acme', 'cancel', 'm-1');
  await until(async () => (await verdict(service, token, one)).reason === 'revoked', 'revoked', 10_000);
  assert.equal((await verdict(service, token, two)).reason, 'revoked');
  const refused = await service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z' } });
  assert.equal(refused.body.code, 'member_inactive');
}

export async function disorderAndPoison({ context, service, token }) {
  const cards = new Map();
  for (let i = 0; i < 8; i += 1) cards.set(`m-${i}`, await issue(service, token, context, `m-${i}`));
  let held = null;
  const reference = new Map();
  for (let i = 0; i < 300; i += 1) {
    const id = `m-${i % 8}`;
    const what = i >= 292 && i % 2 === 1 ? 'cancel' : i % 16 < 8 ? 'suspend' : 'reinstate';
    context.happen('acme', what, id, {}, (event) => {
      const out = [];
      if (i % 10 === 0) out.push(event, event);
      else if (i % 20 === 5) { held = event; return out; }
      else if (i % 50 === 7) return out; // lost
      else out.push(event);
      if (held !== null) { out.push(held); held = null; }
      return out;
    });
    reference.set(id, what);
  }
  context.happen('acme', 'renew', 'm-0', {}); // no end: cannot be applied
  context.happen('acme', 'suspend', 'm-0', { v: 2 }); // of a later version
  context.publish({ v: 1, event_id: 'x', tenant: 'nobody', sequence: 1, name: 'MembershipCancelled', member_id: 'm-0' });
  const total = context.log('acme').length;
  await until(async () => (await applied(service)) >= total, `all ${total} are applied`, 30_000);
  for (const [id, what] of reference) {
    const wanted = what === 'cancel' ? 'revoked' : what === 'suspend' ? 'suspended' : 'valid';
    await until(async () => (await verdict(service, token, cards.get(id))).reason === wanted, `${id} is ${wanted}`, 10_000);
  }
  const letters = JSON.parse(await service.command('deadletters', 'list', '--json'));
  assert.equal(letters.dead_letters.length, 2);
  assert.equal(letters.dead_letters[0].type, 'member.events');
}

// `runs`: [role to kill or null, number of cards] each; every card refuses two seconds after the cancellation.
export async function manyCards(t, { context, service }, { runs, kill }) {
  const left = [...runs];
  while (left.length > 0) {
    const [victim, count, tries = 0] = left.shift();
    const name = `t-${victim === null ? 'calm' : victim.replace('-0', '')}${tries === 0 ? '' : tries}`;
    const token = await service.tenant(name, '--partitions', '4');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    context.member(name, 'many');
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
    const scan = async (card) => {
      for (;;) { // a front that restarts breaks connections: who scans asks again
        const reply = await service.request('POST', `/${name}/mapi/v1/scans`, { token, agent, body: { qr: card.qr.text, gate: 'n' } }).catch(() => null);
        if (reply?.status === 200) return reply.body.reason;
      }
    };
    const done = () => metricOf(service, 'digitalcard_member_cards_done_total', 'work="revoke"', 'role="shard-0"');
    const doneBefore = await done();
    const cancelledAt = Date.now();
    const cancelled = context.happen(name, 'cancel', 'many');
    if (victim !== null) {
      const some = async (status) => (await service.request('GET', `/${name}/api/v1/cards?status=${status}&limit=1`, { token, agent })).body.items.length === 1;
      while (!await some('revoked')) assert.ok(Date.now() < cancelledAt + 10_000, 'the work begins');
      const isHalfDone = await some('active');
      if (!isHalfDone) { // too few cards for us to come in between
        assert.ok(tries < 4, 'somebody sees the work half done');
        left.unshift([victim, 2 * count, tries + 1]);
        agent.destroy();
        continue;
      }
      await (kill ?? killRole)(service, victim);
    }
    if (victim === 'database') { // nothing can be stored while it is away
      const back = Date.now();
      await until(async () => (await scan(cards[0])) !== 'valid', 'the cancellation counts once the database is back', 15_000);
      t.diagnostic(`the first card refuses ${Date.now() - back} ms after the database is back`);
    } else {
      // Cards are shown all the while: how long after the cancellation was one let in?
      let shown = 0;
      let lastValid = null;
      await inParallel(Infinity, 8, async (index) => {
        const at = Date.now();
        if (at - cancelledAt >= 2000) return false;
        shown += 1;
        if (await scan(cards[index % count]) === 'valid') lastValid = Math.max(lastValid ?? 0, at - cancelledAt);
        return true;
      });
      t.diagnostic(`${victim ?? 'no kill'}: ${shown} scans within 2 s of the cancellation; ${lastValid === null ? 'none was valid'
        : `the last valid one began ${lastValid} ms after it`}`);
    }
    const seen = new Map();
    await inParallel(count, 32, async (index) => {
      const reason = await scan(cards[index]);
      seen.set(reason, (seen.get(reason) ?? 0) + 1);
    });
    t.diagnostic(`${victim ?? 'no kill'}: ${count} cards 2 s after the cancellation: ${JSON.stringify([...seen])}`);
    assert.equal(seen.get('valid') ?? 0, 0);
    await until(async () => (await service.request('GET', `/${name}/api/v1/cards?status=revoked&limit=1`, { token })).body.items?.length === 1
      && (await service.request('GET', `/${name}/api/v1/cards?status=active&limit=1`, { token })).body.items?.length === 0, 'all are revoked', 60_000);
    t.diagnostic(`${victim ?? 'no kill'}: all ${count} are revoked ${Date.now() - cancelledAt} ms after the cancellation`);
    await inParallel(count, 32, async (index) => assert.equal(await scan(cards[index]), 'revoked'));
    if (victim !== 'relay') { // which restarts just then: it is not replayed
      await until(() => ends.length > 0, 'CardsRevoked', 10_000);
      for (const end of ends) assert.deepEqual(end, { member_id: 'many', count, cancelled_at: cancelled.occurred_at });
    }
    // A shard that was killed counts from nothing; one that was not has asked each card, and those of a slice that failed again.
    if (victim === null) assert.ok(await done() - doneBefore >= count, `${await done() - doneBefore} cards followed, as the metric says`);
    await until(async () => await metricOf(service, 'digitalcard_member_works', 'role="shard-0"') === 0, 'the metric says that no work is left');
    const history = (await service.request('GET', `/${name}/api/v1/cards/${cards[0].id}/history?limit=500`, { token })).body;
    assert.equal(history.items.filter((item) => item.name === 'CardRevoked').length, 1);
    agent.destroy();
  }
}

async function wholeHistory(service, token, card) {
  const names = [];
  for (let cursor = ''; cursor !== undefined;) {
    const page = (await service.request('GET', `/acme/api/v1/cards/${card.id}/history?limit=500${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, { token })).body;
    names.push(...page.items.map((item) => item.name));
    cursor = page.next_cursor ?? undefined;
  }
  return names;
}

const EFFECTS = { MembershipSuspended: 'CardSuspended', MembershipReinstated: 'CardReinstated', MembershipCancelled: 'CardRevoked' };
const effectsOf = async (service, token, card) => (await wholeHistory(service, token, card)).filter((name) => Object.values(EFFECTS).includes(name)).reverse();

// What the context does with its events: 2 % lost, 5 % late, 10 % twice; when it calms down, only twice.
function disorder(random, isCalm = () => false) {
  const late = [];
  return (event) => {
    const luck = random();
    const out = [];
    if (isCalm()) return luck > 0.5 ? [event, event] : [event];
    if (luck < 0.02) return out; // a gap
    if (luck < 0.07) late.push(event);
    else out.push(event);
    if (luck > 0.9) out.push(event);
    if (late.length > 3) out.push(late.shift());
    return out;
  };
}

// A member to whom nothing happens before the last thing had its effect: no event of it can be overtaken by the next one on the
// way to the card, so that the card's history has to be exactly its events.
async function walk({ context, service, token }, { id, deliver, isOver, steps }) {
  context.member('acme', id);
  let card = null;
  await until(async () => { // a role may be killed while it is being issued: with a key, asking again has no second effect
    const reply = await service.request('POST', '/acme/api/v1/cards', { token, headers: { 'idempotency-key': `issue-${id}` },
      body: { member_id: id, expires_at: '2035-01-01T00:00:00Z', activate: true } }).catch(() => null);
    card = reply?.status === 201 ? reply.body : null;
    return card !== null;
  }, `${id} has a card`, 60_000);
  const status = async () => (await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token }).catch(() => null))?.body?.status;
  const step = async (what, wanted) => {
    context.happen('acme', what, id, {}, deliver);
    await until(async () => await status() === wanted, `${id}: ${what} makes the card ${wanted}`, 1_800_000);
  };
  let taken = 0;
  for (; !isOver() || taken < steps; taken += 1) await step(...taken % 2 === 0 ? ['suspend', 'suspended'] : ['reinstate', 'active']);
  await step('cancel', 'revoked');
  return { id, card };
}

async function checkWalk({ context, service, token }, { id, card }) {
  const causes = context.log('acme').filter((event) => event.member_id === id).map((event) => EFFECTS[event.name]);
  assert.deepEqual(await effectsOf(service, token, card), causes, `${id}: each effect once, in order`);
  return causes.length;
}

// Where things may follow each other so closely that only the last of several reaches the card: the card is as the reference fold
// says, each effect has a cause of its own, in order, and no effect is there twice.
async function checkFolded({ context, service, token }, { id, card, last }) {
  const wanted = { cancel: 'revoked', suspend: 'suspended', reinstate: 'valid' }[last] ?? 'valid';
  await until(async () => (await service.scan('acme', token, card.qr.text)).body.reason === wanted, `${id} is ${wanted}`, 60_000);
  const effects = await effectsOf(service, token, card);
  const causes = context.log('acme').filter((event) => event.member_id === id && event.v === 1 && EFFECTS[event.name] !== undefined).map((event) => EFFECTS[event.name]);
  let at = 0;
  for (const [index, effect] of effects.entries()) {
    assert.notEqual(effect, effects[index - 1], `${id}: ${effect} twice`);
    while (at < causes.length && causes[at] !== effect) at += 1;
    assert.ok(at < causes.length, `${id}: ${effect} (${index + 1} of ${effects.length}) has no cause of its own`);
    at += 1;
  }
  assert.equal(effects.at(-1) ?? 'CardReinstated', { cancel: 'CardRevoked', suspend: 'CardSuspended' }[last] ?? 'CardReinstated', id);
}

const WALKERS = 8;
const POISONS = 16; // events that cannot be applied

// `kills`: called one after the other, spread over the events.
export async function stormOfEvents(t, { context, service }, { events, kills, members, seed }) {
  t.diagnostic(`DIGITALCARD_TEST_SEED=${seed}`);
  const random = generator(seed);
  const deliver = disorder(random);
  const token = await service.tenant('acme', '--partitions', '4');
  const cards = [];
  await inParallel(members, 16, async (index) => {
    context.member('acme', `m-${index}`);
    cards[index] = await service.issue('acme', token, { member_id: `m-${index}` });
  });
  const reference = new Map();
  const left = [...kills];
  const poisoned = [];
  const began = Date.now();
  let killedAt = 0;
  let isOver = false;
  const walks = Promise.all(Array.from({ length: WALKERS }, (_, index) => walk({ context, service, token },
    { id: `w-${index}`, deliver: disorder(generator(seed + index + 1), () => isOver), isOver: () => isOver, steps: 6 })));
  walks.catch(() => {}); // awaited below
  for (let i = 0; i < events; i += 1) {
    const id = `m-${Math.floor(random() * members)}`;
    const last = reference.get(id);
    if (i % Math.ceil(events / POISONS) === 1) poisoned.push(context.happen('acme', 'suspend', id, { v: 2 }, deliver).sequence);
    const what = i > events - members && random() < 0.2 ? 'cancel' : last === 'suspend' ? 'reinstate' : 'suspend';
    reference.set(id, last === 'cancel' ? 'cancel' : what);
    context.happen('acme', last === 'cancel' ? 'update' : what, id, {}, deliver);
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (i > 0 && i % Math.floor(events / (kills.length + 1)) === 0 && left.length > 0) {
      // More than five of one role within ten seconds escalate, by design, to the end of the service.
      await until(() => kills.length <= 5 || Date.now() - killedAt > 2_500, 'the next crash is due');
      await left.shift()(service);
      killedAt = Date.now();
    }
  }
  isOver = true;
  const walked = await walks;
  const total = context.log('acme').length;
  // The adapters role asks the replay endpoint for what comes after all it has handed over: the last page is empty.
  let asked = 0;
  const page = context.page.bind(context);
  context.page = (tenant, after, limit) => { asked = Math.max(asked, after); return page(tenant, after, limit); };
  await until(async () => {
    const status = roles(await service.tree()).adapters.status;
    return asked >= total && status.membership?.events_waiting === 0;
  }, 'all events are applied', 1_800_000);
  assert.equal(asked, total, 'no event was made up');
  t.diagnostic(`${total} events in ${((Date.now() - began) / 1000).toFixed(1)} s, ${kills.length - left.length} crashes`);
  await inParallel(members, 16, (index) => checkFolded({ context, service, token },
    { id: `m-${index}`, card: cards[index], last: reference.get(`m-${index}`) }));
  let steps = 0;
  for (const each of walked) steps += await checkWalk({ context, service, token }, each);
  t.diagnostic(`${steps} events of ${WALKERS} members one after the other: each had its effect once`);
  const letters = JSON.parse(await service.command('deadletters', 'list', '--json')).dead_letters;
  assert.deepEqual(letters.map((letter) => letter.type), poisoned.map(() => 'member.events'), 'each event that cannot be applied is one dead letter');
}
