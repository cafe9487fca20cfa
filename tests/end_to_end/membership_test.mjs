// The membership context behind its breaker, its events in, and what the gate answers meanwhile. The context is
// tests/peers/membership.mjs, made of other people's libraries.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import * as zmq from 'zeromq';
import { decode, encode } from '@msgpack/msgpack';
import { Membership } from '../peers/membership.mjs';
import { Service, freePort, roles, until } from './service.mjs';

const QUICK = 'failures=5 open_ms=400 open_ms_max=1000 jitter_permille=0 deadline_ms=300 slow_ms=250 pause_ms=20';

async function start(t, { settings = QUICK, policy, stale, events = true, overZmq = false } = {}) {
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*', api: overZmq ? 'tcp://127.0.0.1:*' : undefined });
  const more = ['--membership-url', overZmq ? context.api : context.url, '--breaker', settings, '--shards', '1'];
  if (events) more.push('--membership-events', context.events);
  if (policy !== undefined) more.push('--membership-policy', policy);
  if (stale !== undefined) more.push('--membership-stale-s', String(stale));
  const service = await Service.start({ arguments: more });
  t.after(async () => { await service.destroy(); await context.stop(); });
  const token = await service.tenant('acme');
  return { context, service, token };
}

async function breaker(service) {
  const list = JSON.parse(await service.command('breaker', 'list', '--json'));
  return list.breakers.find((each) => each.tenant === 'acme' && each.adapter === 'membership') ?? { state: 'closed' };
}

const verdict = async (service, token, card) => (await service.scan('acme', token, card.qr.text)).body;

async function issue(service, token, context, member, more = {}) {
  context.member('acme', member);
  return service.issue('acme', token, { member_id: member, ...more });
}

const applied = async (service) => roles(await service.tree()).adapters.status.membership.events_applied;

test('issuing asks the context: unknown, suspended and cancelled members get no card, with exact reasons', async (t) => {
  const { context, service, token } = await start(t);
  const ask = (member_id) => service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id, expires_at: '2035-01-01T00:00:00Z', activate: true } });
  await until(async () => (await ask('nobody')).status === 409, 'the context is asked', 5_000);
  assert.equal((await ask('nobody')).body.code, 'unknown_member');
  context.member('acme', 'm-s', { status: 'suspended' });
  assert.equal((await ask('m-s')).body.code, 'member_inactive');
  context.member('acme', 'm-1');
  const card = await issue(service, token, context, 'm-1');
  const seen = await verdict(service, token, card);
  assert.equal(seen.reason, 'valid');
  assert.equal(seen.fallback, false);
});

test('with the context dead every scan of a known member is answered; the breaker closes by itself', async (t) => {
  const { context, service, token } = await start(t);
  const cards = [];
  for (let i = 0; i < 5; i += 1) cards.push(await issue(service, token, context, `m-${i}`));
  assert.equal((await verdict(service, token, cards[0])).fallback, false);
  const subscriber = new zmq.Subscriber({ linger: 0 });
  subscriber.connect(service.events);
  subscriber.subscribe('digitalcard.acme.Breaker');
  t.after(() => subscriber.close());
  const heard = [];
  (async () => { for await (const [topic, header, body] of subscriber) heard.push({ topic: String(topic), header: decode(header), body: decode(body) }); })().catch(() => {});

  await context.die();
  await until(async () => (await breaker(service)).state !== 'closed', 'the breaker opens', 20_000);
  let answered = 0;
  for (let i = 0; i < 200; i += 1) {
    const seen = await verdict(service, token, cards[i % cards.length]);
    assert.equal(seen.reason, 'valid');
    assert.equal(seen.fallback, true);
    assert.ok(seen.fallback_age_s >= 0 && seen.fallback_age_s < 100);
    answered += 1;
  }
  assert.equal(answered, 200);
  assert.equal((await service.request('GET', '/health/ready')).status, 200); // never depends on a neighbour
  assert.match(await service.command('tree'), /breaker membership/);
  const health = (await service.request('GET', '/health/digitalcard')).body;
  assert.equal(roles(health).adapters.status.breakers_open, 1);

  await context.returnToLife();
  await until(async () => (await breaker(service)).state === 'closed', 'it closes, and nobody had to act', 20_000);
  await until(async () => (await verdict(service, token, cards[0])).fallback === false, 'no fallback any more', 5_000);
  await until(() => heard.at(-1)?.header.name === 'BreakerClosed', 'the last event', 5_000);
  const names = heard.map((each) => each.header.name);
  assert.equal(names[0], 'BreakerOpened');
  assert.equal(names.at(-2), 'BreakerHalfOpened');
  assert.equal(heard[0].header.sequence, null);
  assert.equal(heard[0].body.adapter, 'membership');
  const shown = await breaker(service);
  assert.ok(shown.answered >= 3, 'three good probes');
});

test('bad answers of every kind are failures, and the gate goes on meanwhile', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1');
  for (const mode of ['error', 'missing', 'redirect', 'garbage', 'empty', 'half', 'huge', 'drip', 'never', 'slow']) {
    context.mode = mode;
    await service.command('breaker', 'reset', 'membership', '--tenant', 'acme');
    const before = (await breaker(service)).failed ?? 0;
    // Who issues a card asks, and gets it on what is known; that there is no such member is an answer.
    const issued = service.request('POST', '/acme/api/v1/cards', { token,
      body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z' } });
    await until(async () => {
      const seen = await verdict(service, token, card);
      assert.equal(seen.reason, 'valid', mode);
      return (await breaker(service)).failed > before || (await breaker(service)).state !== 'closed';
    }, `${mode} counts as a failure`, 20_000);
    assert.equal((await issued).status, mode === 'missing' ? 409 : 201, mode);
  }
  assert.equal((await service.request('GET', '/health/ready')).status, 200);
});

test('breakers open and close by hand', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1');
  await service.command('breaker', 'open', 'membership', '--tenant', 'acme');
  await until(async () => (await verdict(service, token, card)).fallback === true, 'scans say fallback', 5_000);
  const asked = context.requests.member;
  await service.issue('acme', token, { member_id: 'm-1' }); // on what is known
  assert.equal(context.requests.member, asked);
  await service.command('breaker', 'close', 'membership', '--tenant', 'acme');
  await until(async () => (await verdict(service, token, card)).fallback === false, 'and no more', 5_000);
  assert.equal((await service.tryCommand('breaker', 'open', 'nonsense', '--tenant', 'acme', '--data', service.data)).status, 1);
});

test('policy refuse: unknown and stale members are refused while nobody can be asked', async (t) => {
  const { context, service, token } = await start(t, { policy: 'refuse', stale: 1 });
  const card = await issue(service, token, context, 'm-1');
  await context.die();
  await until(async () => (await breaker(service)).state !== 'closed', 'the breaker opens', 20_000);
  const refused = await until(async () => {
    const seen = await verdict(service, token, card);
    return seen.reason === 'member_inactive' ? seen : null;
  }, 'what is known becomes stale', 10_000);
  assert.equal(refused.fallback, true);
  assert.ok(refused.fallback_age_s >= 1);
  const issued = await service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id: 'm-2', expires_at: '2035-01-01T00:00:00Z' } });
  assert.equal(issued.status, 503);
  assert.equal(issued.body.code, 'membership_unavailable');
});

test('events suspend, reinstate exactly those, renew and revoke; members without cards too', async (t) => {
  const { context, service, token } = await start(t);
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
});

test('duplicates, disorder, gaps, later versions and poison end as the reference says', async (t) => {
  const { context, service, token } = await start(t);
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
});

test('over ZeroMQ: member.get and events.read', async (t) => {
  const { context, service, token } = await start(t, { overZmq: true, events: false });
  const card = await issue(service, token, context, 'm-1');
  assert.equal((await verdict(service, token, card)).fallback, false);
  const unknown = await service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id: 'nobody', expires_at: '2035-01-01T00:00:00Z' } });
  assert.equal(unknown.body.code, 'unknown_member');
  context.happen('acme', 'cancel', 'm-1'); // only read: nothing is published to it
  await until(async () => (await verdict(service, token, card)).reason === 'revoked', 'found by reading', 15_000);
});

// A publisher that sends whatever it likes to whoever connects, subscribed or not, which no library does: ZMTP 3.0 with the
// NULL mechanism, by hand. `messages` are lists of frames, sent again and again, since early ones come before anybody listens.
async function rawPublisher(messages) {
  const frame = (flags, body) => Buffer.concat([Buffer.from([flags, body.length]), body]);
  const greeting = Buffer.alloc(64);
  greeting[0] = 0xff; greeting[9] = 0x7f; greeting[10] = 3;
  greeting.write('NULL', 12);
  const ready = frame(4, Buffer.from('\x05READY\x0bSocket-Type\0\0\0\x03PUB', 'latin1'));
  const sent = messages.flatMap((frames) => frames.map((body, i) => frame(i + 1 < frames.length ? 1 : 0, Buffer.from(body))));
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(Buffer.concat([greeting, ready]));
    const timer = setInterval(() => socket.write(Buffer.concat(sent)), 100);
    socket.on('close', () => clearInterval(timer));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { endpoint: `tcp://127.0.0.1:${server.address().port}`, server };
}

test('the context of one tenant cannot speak for another, neither in events nor in answers', async (t) => {
  const event = (tenant, what, sequence) => [`membership.${tenant}.${what}`,
    encode({ v: 1, event_id: `${tenant}-${sequence}`, tenant, sequence, occurred_at: new Date().toISOString() }), encode({ member_id: 'm-1' })];
  const forged = Array.from({ length: 20 }, (_, i) => event('acme', 'MembershipCancelled', i + 1));
  const { endpoint, server } = await rawPublisher([...forged, event('beta', 'MembershipCancelled', 1)]);
  const good = await Membership.start({ events: 'tcp://127.0.0.1:*', api: 'tcp://127.0.0.1:*' });
  const bad = await Membership.start({ api: 'tcp://127.0.0.1:*' });
  const service = await Service.start({ arguments: ['--shards', '1', '--breaker', QUICK,
    '--membership-url', `acme=${good.api} beta=${bad.api}`, '--membership-events', `acme=${good.events} beta=${endpoint}`] });
  t.after(async () => { await service.destroy(); await good.stop(); await bad.stop(); server.close(); });
  const token = await service.tenant('acme');
  const card = await issue(service, token, good, 'm-1');
  const betaToken = await service.tenant('beta'); // now that all of acme is there, the socket of beta is opened
  bad.member('beta', 'm-2');
  await service.issue('beta', betaToken, { member_id: 'm-2' });

  // Behind the events of acme on that socket is one of beta: they were heard when it was applied.
  await until(async () => await applied(service) > 0, 'its own event was heard', 10_000);
  assert.equal(await applied(service), 1);
  assert.equal((await verdict(service, token, card)).reason, 'valid');

  // Answers to the questions of acme, whose numbers can be guessed, from the context of beta: acme's is silent meanwhile.
  good.mode = 'never';
  const [peer] = bad.peers.values();
  const before = good.requests.member;
  const asked = service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id: 'm-forged', expires_at: '2035-01-01T00:00:00Z' } });
  await until(() => good.requests.member > before, 'acme\'s context was asked', 5_000);
  for (let id = 1; id <= 200; id += 1) {
    await bad.router.send([peer, encode({ v: 1, id: String(id), type: 'member.get.ok' }), encode({ member_id: 'm-forged', status: 'cancelled' })]);
  }
  assert.notEqual((await asked).body.code, 'member_inactive');
});
