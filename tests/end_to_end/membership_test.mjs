// The membership context behind its breaker, its events in, and what the gate answers meanwhile. The context is
// tests/peers/membership.mjs, made of other people's libraries.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import * as zmq from 'zeromq';
import { decode, encode } from '@msgpack/msgpack';
import { Membership } from '../peers/membership.mjs';
import { QUICK, applied, breaker, disorderAndPoison, eventsOfAMember, issue, start, verdict } from './membership_cases.mjs';
import { Service, roles, run, until } from './service.mjs';

test('issuing asks the context: unknown, suspended and cancelled members get no card, with exact reasons', async (t) => {
  const { context, service, token } = await start(t);
  const ask = (member_id) => service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id, expires_at: '2035-01-01T00:00:00Z', activate: true } });
  await until(async () => (await ask('nobody')).status === 409, 'the context is asked');
  assert.equal((await ask('nobody')).body.code, 'unknown_member');
  context.member('acme', 'm-s', { status: 'suspended' });
  assert.equal((await ask('m-s')).body.code, 'member_inactive');
  context.member('acme', 'm-1');
  const card = await issue(service, token, context, 'm-1');
  const seen = await verdict(service, token, card);
  assert.equal(seen.reason, 'valid');
  assert.equal(seen.fallback, false);
});

test('an id of a member is asked for as it is: none becomes another path, another question or a header', async (t) => {
  const { context, service, token } = await start(t);
  const asked = [];
  context.server.on('request', (request) => asked.push(request));
  const ids = ['../../admin', 'a/b?c=d&e#f', '...', '%2e%2e%2fevents', 'a b', 'Zoë', "';--", 'x@y:80', '/'.repeat(128)];
  for (const id of ids) {
    const card = await issue(service, token, context, id); // the answer has to name this very member
    assert.equal(card.member_id, id);
  }
  const paths = asked.map((request) => request.url).filter((url) => !url.startsWith('/events?'));
  for (const path of paths) assert.match(path, /^\/members\/[A-Za-z0-9_%-]+$/);
  assert.deepEqual(new Set(paths.map((path) => decodeURIComponent(path.slice('/members/'.length)))), new Set(ids));
  assert.ok(asked.every((request) => request.headers['x-tenant'] === 'acme'));
});

// What a series of the adapters role says, whatever the order of its labels.
async function measured(service, name, ...labels) {
  const text = (await service.request('GET', '/metrics')).raw.toString();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && ['adapter="membership"', ...labels].every((label) => line.includes(label)));
  assert.equal(lines.length, 1, `${name} ${labels}`);
  return Number(lines[0].slice(lines[0].lastIndexOf(' ')));
}

// The log lines of the breaker's changes, in order.
function logged(service) {
  return service.log.split('\n').filter((line) => line.includes('"a circuit breaker c')).map((line) => JSON.parse(line));
}

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

  assert.equal(await measured(service, 'digitalcard_breakers_open'), 0);
  assert.equal(await measured(service, 'digitalcard_breaker_changes_total'), 0);
  const asked = await measured(service, 'digitalcard_neighbour_calls_total', 'end="answered"');
  assert.ok(asked >= cards.length, 'each issue asked');
  await context.die();
  await until(async () => (await breaker(service)).state !== 'closed', 'the breaker opens', 20_000);
  await until(async () => await measured(service, 'digitalcard_breakers_open') === 1, 'the gauge');
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

  context.requests = { member: 0, events: 0 };
  await context.returnToLife();
  await until(async () => (await breaker(service)).state === 'closed', 'it closes, and nobody had to act', 20_000);
  const probes = context.requests.member + context.requests.events;
  await until(async () => (await verdict(service, token, cards[0])).fallback === false, 'no fallback any more');
  await until(() => heard.at(-1)?.header.name === 'BreakerClosed', 'the last event');
  const names = heard.map((each) => each.header.name);
  assert.equal(names[0], 'BreakerOpened');
  // The documented history: open, a probe, open again for longer while probes fail, at last closed by three good ones.
  assert.match(names.join(' '), /^BreakerOpened( BreakerHalfOpened BreakerOpened)* BreakerHalfOpened BreakerClosed$/);
  const pauses = heard.filter((each) => each.header.name === 'BreakerOpened').map((each) => each.body.retry_ms);
  for (let i = 1; i < pauses.length; i += 1) assert.ok(pauses[i] >= Math.min(2 * pauses[i - 1] - 50, 950), `${pauses}`);
  assert.ok(probes >= 3, `${probes} probes`);
  assert.equal(heard[0].header.sequence, null);
  assert.equal(heard[0].body.adapter, 'membership');
  // The same history in numbers and in the log.
  assert.equal(await measured(service, 'digitalcard_breakers_open'), 0);
  assert.equal(await measured(service, 'digitalcard_breaker_changes_total'), heard.length);
  assert.ok(await measured(service, 'digitalcard_neighbour_calls_total', 'end="failed"') >= 1, 'what opened it');
  assert.ok(await measured(service, 'digitalcard_neighbour_calls_total', 'end="answered"') >= asked + 3, 'what closed it');
  await until(() => logged(service).length === heard.length, 'a line for each change');
  const states = { open: 'BreakerOpened', half_open: 'BreakerHalfOpened' };
  assert.deepEqual(logged(service).map((line) => states[line.state] ?? 'BreakerClosed'), names);
  for (const line of logged(service)) {
    assert.deepEqual([line.tenant, line.adapter], ['acme', 'membership']);
    assert.equal(line.level, line.state === undefined ? 'info' : 'warn');
    assert.ok(line.why.length > 0);
  }
  const shown = await breaker(service);
  assert.ok(shown.answered >= 3, 'three good probes');
});

test('bad answers of every kind are failures, and the gate goes on meanwhile', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1');
  for (const mode of ['error', 'missing', 'redirect', 'garbage', 'empty', 'half', 'huge', 'drip', 'never', 'slow', 'wrong']) {
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
  await until(async () => (await verdict(service, token, card)).fallback === true, 'scans say fallback');
  const asked = context.requests.member;
  await service.issue('acme', token, { member_id: 'm-1' }); // on what is known
  assert.equal(context.requests.member, asked);
  await service.command('breaker', 'close', 'membership', '--tenant', 'acme');
  await until(async () => (await verdict(service, token, card)).fallback === false, 'and no more');
  const listed = async (...more) => JSON.parse(await service.command('breaker', 'list', '--json', ...more));
  assert.deepEqual((await listed('--tenant', 'acme')).breakers.map((each) => each.tenant), ['acme']);
  assert.deepEqual((await listed('--tenant', 'nobody')).breakers, []);
  assert.equal((await listed()).breakers_left_out, 0);
  assert.deepEqual((await listed()).vendors_missing, ['wallet', 'notification', 'geography']);
  assert.equal((await service.tryCommand('breaker', 'open', 'nonsense', '--tenant', 'acme', '--data', service.data)).status, 1);
  const nobody = await service.tryCommand('breaker', 'open', 'membership', '--tenant', 'nobody', '--data', service.data);
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /no such tenant/);
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

test('events suspend, reinstate exactly those, renew and revoke; members without cards too', async (t) =>
  eventsOfAMember(await start(t)));

test('duplicates, disorder, gaps, later versions and poison end as the reference says', async (t) =>
  disorderAndPoison(await start(t)));

// What a crash leaves behind that comes after the letter is kept and before the watermark is durable: the letter, and no watermark.
test('an event that was set aside and comes again after a crash is the same dead letter', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1');
  const letters = async () => JSON.parse(await service.command('deadletters', 'list', '--json')).dead_letters.map((letter) => letter.id);
  context.happen('acme', 'suspend', 'm-1', { v: 2 }); // published; the second time it is read
  context.happen('acme', 'renew', 'm-1', {});
  await until(async () => await applied(service) >= 2, 'both are set aside');
  const before = await letters();
  assert.equal(before.length, 2);
  await service.stop();
  const gone = await run('sqlite3', [path.join(service.data, 'tenants', 'acme.db'), "DELETE FROM note WHERE key LIKE 'inbox:%' RETURNING key"]);
  assert.match(gone.stdout, /inbox:/);
  await service.spawn();
  await verdict(service, token, card); // opens the tenant
  context.happen('acme', 'suspend', 'm-1');
  await until(async () => (await verdict(service, token, card)).reason === 'suspended', 'all came again');
  assert.deepEqual((await letters()).sort(), before.sort());
});

test('a member whom the context does not know any more: the policy decides, no card ends, and an event counts again', async (t) => {
  for (const [policy, reason] of [['refuse', 'member_inactive'], ['assume_active', 'valid']]) {
    const { context, service, token } = await start(t, { policy, stale: 1 });
    const card = await issue(service, token, context, 'm-1');
    assert.equal((await verdict(service, token, card)).fallback, false);
    context.members.delete('acme/m-1');
    const seen = await until(async () => {
      const each = await verdict(service, token, card);
      return each.fallback ? each : null;
    }, 'it was asked after', 15_000);
    assert.equal(seen.reason, reason);
    assert.equal(await statusOf(service, token, card), 'active');
    context.member('acme', 'm-1');
    context.happen('acme', 'update', 'm-1');
    await until(async () => (await verdict(service, token, card)).fallback === false, 'known again', 10_000);
  }
});

const statusOf = async (service, token, card) => (await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token })).body.status;

test('a cancellation that is heard late does not revoke the card that was issued after it', async (t) => {
  const { context, service, token } = await start(t);
  const old = await issue(service, token, context, 'm-1');
  context.mode = 'error';
  await service.command('breaker', 'open', 'membership', '--tenant', 'acme');
  context.happen('acme', 'cancel', 'm-1', {}, () => []);
  context.happen('acme', 'reinstate', 'm-1', {}, () => []);
  await new Promise((resolve) => setTimeout(resolve, 5)); // the next card belongs to another millisecond
  const young = await service.issue('acme', token, { member_id: 'm-1' }); // on what is known
  context.mode = 'good';
  await service.command('breaker', 'close', 'membership', '--tenant', 'acme');
  await until(async () => await statusOf(service, token, old) === 'revoked', 'the card of the ended membership is revoked', 20_000);
  await until(async () => (await verdict(service, token, young)).reason === 'valid', 'the later one opens', 10_000);
  assert.equal(await statusOf(service, token, young), 'active');
  context.happen('acme', 'cancel', 'm-1');
  await until(async () => await statusOf(service, token, young) === 'revoked', 'and ends with its own membership', 10_000);
});

test('CardsRevoked counts the cards of this cancellation: cancel, rejoin, cancel', async (t) => {
  const { context, service, token } = await start(t);
  await issue(service, token, context, 'm-1');
  await issue(service, token, context, 'm-1');
  const told = [];
  const subscriber = new zmq.Subscriber({ linger: 0 });
  t.after(() => subscriber.close());
  subscriber.connect(service.events);
  subscriber.subscribe('digitalcard.acme.CardsRevoked');
  (async () => { for await (const [, , body] of subscriber) told.push(decode(body)); })().catch(() => {});
  const first = context.happen('acme', 'cancel', 'm-1');
  await until(() => told.length === 1, 'the first end', 15_000);
  context.happen('acme', 'reinstate', 'm-1');
  const third = await until(async () => {
    const reply = await service.request('POST', '/acme/api/v1/cards',
      { token, body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true } });
    return reply.status === 201 ? reply.body : null;
  }, 'a member again', 10_000);
  const second = context.happen('acme', 'cancel', 'm-1');
  await until(() => told.length === 2, 'the second end', 15_000);
  assert.deepEqual(told, [{ member_id: 'm-1', count: 2, cancelled_at: first.occurred_at },
    { member_id: 'm-1', count: 1, cancelled_at: second.occurred_at }]);
  assert.equal(await statusOf(service, token, third), 'revoked');
});

test('a card that expires while its member is suspended: the gate says expired, and renewed after the reinstatement it opens', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1', { expires_at: new Date(Date.now() + 1_500).toISOString() });
  context.happen('acme', 'suspend', 'm-1');
  const history = async () => (await service.request('GET', `/acme/api/v1/cards/${card.id}/history`, { token })).body.items.map((item) => item.name);
  await until(async () => (await history()).includes('CardSuspended'), 'suspended by its member', 10_000);
  await until(async () => (await verdict(service, token, card)).reason === 'expired', 'its time is over', 10_000);
  context.happen('acme', 'reinstate', 'm-1');
  await until(async () => (await history()).includes('CardReinstated'), 'the suspension is lifted', 10_000);
  assert.equal((await verdict(service, token, card)).reason, 'expired');
  await service.act('acme', token, card.id, 'renew', { expires_at: '2035-01-01T00:00:00Z' });
  assert.equal((await verdict(service, token, card)).reason, 'valid');
});

test('a context that jumps to the end of its sequence does not move the watermark for good', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1');
  context.happen('acme', 'update', 'm-1');
  await until(async () => (await applied(service)) === 1, 'the first event is applied', 10_000);
  context.happen('acme', 'suspend', 'm-1', { sequence: Number.MAX_SAFE_INTEGER });
  const membership = async () => roles(await service.tree()).adapters.status.membership;
  await until(async () => (await membership()).events_beyond > 0, 'it was seen', 10_000);
  assert.equal((await verdict(service, token, card)).reason, 'valid');
  assert.equal((await membership()).events_applied, 1);
  assert.match(service.log, /jumps too far/);
  context.log('acme').pop(); // they mend it: the sequence goes on where it was
  context.happen('acme', 'suspend', 'm-1');
  await until(async () => (await verdict(service, token, card)).reason === 'suspended', 'and what comes then counts', 10_000);
});

test('over ZeroMQ: member.get and events.read', async (t) => {
  // What is asked is answered in the end, however crowded the machine is: this is not about deadlines.
  const { context, service, token } = await start(t, { overZmq: true, events: false, settings: 'deadline_ms=20000 slow_ms=0' });
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
  await until(() => good.requests.member > before, 'acme\'s context was asked');
  for (let id = 1; id <= 200; id += 1) {
    await bad.router.send([peer, encode({ v: 1, id: String(id), type: 'member.get.ok' }), encode({ member_id: 'm-forged', status: 'cancelled' })]);
  }
  assert.notEqual((await asked).body.code, 'member_inactive');
});

// Of the adapters role, in MiB, at its highest.
const memory = async (service) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${roles(await service.tree()).adapters.pid}/status`, 'utf8'))[1]) / 1024;

test('a publisher that sends faster than it is read fills no memory, and what it says afterwards counts', async (t) => {
  const { context, service, token } = await start(t);
  const card = await issue(service, token, context, 'm-1');
  context.happen('acme', 'update', 'm-1');
  await until(async () => await applied(service) === 1, 'the subscription stands');
  const before = await memory(service);
  const large = encode({ member_id: 'm-1', reason: 'x', more: Array.from({ length: 8000 }, () => ({})), most: 'x'.repeat(50_000) });
  for (let i = 0; i < 6000; i += 1) {
    const header = encode({ v: 1, event_id: `x-${i}`, tenant: 'acme', sequence: 10_000 + i, occurred_at: new Date().toISOString() });
    await context.publisher.send(['membership.acme.MemberUpdated', header, large]);
    if (i % 100 === 0) assert.equal((await verdict(service, token, card)).reason, 'valid');
  }
  context.happen('acme', 'suspend', 'm-1');
  await until(async () => (await verdict(service, token, card)).reason === 'suspended', 'the suspension', 60_000);
  const grown = await memory(service) - before;
  t.diagnostic(`${6000 * large.length >> 20} MiB were sent, ${grown.toFixed(0)} MiB kept`);
  assert.ok(grown < 192, `${grown} MiB`);
});
