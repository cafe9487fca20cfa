// Subscribers and consumers that do not keep up, while scans go on: what the gate, the relay and everybody else notice of
// them, and where an operator sees them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { decode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { ApiClient } from './clients.mjs';
import { Service, roles, until } from './service.mjs';

const WAITING = 2_000; // --subscriber-messages
const AFTERWARDS = 3_000; // scans after somebody is full
const RELAY_GROWTH = 8 << 20; // of the relay meanwhile, its read models and their caches included
let service;
let token;
let card;

before(async () => {
  service = await Service.start({ arguments: ['--shards', '1', '--subscriber-messages', String(WAITING)] });
  token = await service.tenant('acme');
  card = await service.issue('acme', token);
});
after(() => service?.destroy());

async function metric(name) {
  const text = (await service.request('GET', '/metrics')).raw.toString();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes('role="relay"'));
  return { text, lines, value: lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0) };
}

const overflows = async () => (await metric('digitalcard_events_subscriber_overflows_total')).value;

// ZMTP 3.0 by hand: greets, says that it is a SUB, subscribes once the other side is ready, and never reads again.
function deafSubscriber(prefix) {
  const greeting = Buffer.alloc(64);
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
  greeting.write('NULL', 12);
  const ready = Buffer.concat([Buffer.from('\x05READY\x0bSocket-Type'), Buffer.from([0, 0, 0, 3]), Buffer.from('SUB')]);
  const frame = (flags, bytes) => Buffer.concat([Buffer.from([flags, bytes.length]), bytes]);
  const socket = net.connect({ host: '127.0.0.1', port: service.ports.events });
  socket.on('error', () => {});
  let seen = '';
  socket.on('data', (bytes) => {
    seen += bytes.toString('latin1');
    if (!seen.includes('READY')) return;
    socket.pause();
    socket.write(frame(0, Buffer.from(`\x01${prefix}`)));
  });
  socket.write(Buffer.concat([greeting, frame(4, ready)]));
  return socket;
}

// Scans until `isOver`; every one must be answered, and the same way.
async function scans(isOver) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  let count = 0;
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (!await isOver(count)) {
      const reply = await service.request('POST', '/acme/mapi/v1/scans', { token, agent, body: { qr: card.qr.text, gate: 'north' } });
      assert.equal(reply.status, 200, `${reply.raw}`);
      assert.equal(reply.body.reason, 'valid');
      count += 1;
    }
  }));
  agent.destroy();
  return count;
}

const headNow = async () => (await service.request('GET', '/acme/api/v1/events?after=9007199254740000', { token })).body.head;

test('subscribers that never read: scans are answered, the relay stays small, it is counted, and others get everything', { timeout: 280_000 }, async (t) => {
  const heard = new Map();
  const eager = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: 1_000_000 });
  eager.connect(service.events);
  eager.subscribe('digitalcard.acme.');
  t.after(() => eager.close());
  let doubled = 0;
  (async () => {
    for await (const [topic, header] of eager) {
      if (String(topic).endsWith('.Head')) continue;
      const event = decode(header);
      if (event.sequence === null) continue;
      doubled += heard.has(event.sequence) ? 1 : 0;
      heard.set(event.sequence, event.event_id);
    }
  })().catch(() => {});
  const deaf = [];
  t.after(() => deaf.forEach((socket) => socket.destroy()));
  const subscriptions = async () => (await metric('digitalcard_events_subscriptions_total')).value;
  await until(async () => await subscriptions() >= 1, 'the other one has subscribed');
  assert.equal(await overflows(), 0);

  let isFull = false;
  const fill = async () => {
    for (const prefix of ['digitalcard.acme.', 'digitalcard.', '']) { // one after the other: those that are full at the same message count once
      deaf.push(deafSubscriber(prefix));
      await until(async () => await subscriptions() >= deaf.length + 1, 'it has subscribed');
      await until(async () => await overflows() >= deaf.length, `deaf one ${deaf.length} is full`, 60_000);
    }
  };
  const watch = fill().finally(() => { isFull = true; });
  const filler = new ApiClient(service.api, 'acme', token); // the buffers of the kernel take tens of thousands of events
  t.after(() => filler.close());
  const filling = Array.from({ length: 256 }, async () => {
    while (!isFull) assert.equal((await filler.ask('card.validate', { id: card.id, gate: 'south' })).type, 'card.validate.ok');
  });
  const before = await Promise.all([scans(() => isFull), watch, ...filling]);
  const relay = roles(await service.tree()).relay.pid;
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${relay}/status`, 'utf8'))[1]) * 1024;
  const small = resident();
  await scans((count) => count >= AFTERWARDS);
  const growth = resident() - small;
  t.diagnostic(`${before[0]} scans until they were full; the relay had ${small >> 20} MB, ${AFTERWARDS} scans later ${growth / 1048576} MB more`);
  assert.ok(growth < RELAY_GROWTH, `${growth} bytes`);
  assert.equal(roles(await service.tree()).relay.pid, relay, 'the same relay');
  assert.equal((await metric('digitalcard_events_unsent_total')).value, 0);
  assert.equal((await metric('digitalcard_relay_events_not_published_total')).value, 0);

  // Who reads has everything: heard, or read after it. A reader that is busy may miss some as well.
  const head = await until(async () => { const at = await headNow(); return at >= before[0] + AFTERWARDS ? at : null; }, 'the relay knows of all');
  await until(() => heard.has(head) || heard.size >= head - 2, 'the last ones have come', 10_000).catch(() => {});
  const api = new ApiClient(service.api, 'acme', token);
  t.after(() => api.close());
  let repaired = 0;
  for (let next = 1; next <= head; next += 1) {
    if (heard.has(next)) continue;
    const page = (await api.ask('events.read', { partition: 0, after: next - 1, limit: 200 })).body;
    for (const event of page.items) {
      if (heard.has(event.sequence)) assert.equal(heard.get(event.sequence), event.event_id);
      else { heard.set(event.sequence, event.event_id); repaired += 1; }
    }
  }
  t.diagnostic(`${head} events, ${repaired} of them repaired`);
  assert.equal(doubled, 0);
  assert.equal(new Set(heard.values()).size, heard.size);
  assert.ok(heard.size >= head);
});

test('the lag of each consumer is read from the list, and metrics name nobody', { timeout: 60_000 }, async () => {
  const consumers = (what, body) => service.request('POST', `/acme/api/v1/consumers${what}`, { token, body });
  for (const name of ['steady', 'sleepy']) assert.equal((await consumers('', { name })).status, 200);
  let done = 0;
  await scans((count) => { done = count; return count >= 200; });
  assert.ok(done >= 200);
  const head = await until(async () => { // nothing is on its way any more
    const at = await headNow();
    const tree = (await service.request('GET', '/acme/api/v1/consumers', { token })).body.items;
    return tree.every((item) => item.cursors[0].head === at) ? at : null;
  }, 'one head everywhere');
  assert.equal((await consumers('/ack', { consumer: 'steady', sequence: head - 3 })).status, 200);
  const expected = { steady: 3, sleepy: head };
  const over = async () => Object.fromEntries((await service.request('GET', '/acme/api/v1/consumers', { token })).body.items.map((item) => [item.name, item.lag]));
  assert.deepEqual(await over(), expected);
  const printed = (await service.command('events', 'consumers', '--tenant', 'acme')).split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(Object.fromEntries(printed.map((item) => [item.name, item.lag])), expected);

  const name = 'digitalcard_consumer_lag_events';
  const of = (lines, which) => Number(lines.find((line) => line.includes(`of="${which}"`))?.split(' ').at(-1));
  const seen = await until(async () => {
    const now = await metric(name);
    return of(now.lines, 'all') === head + 3 ? now : null;
  }, 'the sum of both lags');
  assert.equal(of(seen.lines, 'furthest'), head);
  assert.equal(seen.lines.length, 3, 'three sums, however many consumers there are');
  assert.equal(of(seen.lines, 'without_series'), 0);
  assert.doesNotMatch(seen.text, /steady|sleepy|acme/, 'names that clients choose are no labels');

  assert.equal((await consumers('/ack', { consumer: 'sleepy', sequence: head })).status, 200);
  await until(async () => of((await metric(name)).lines, 'furthest') === 3, 'it caught up');
  assert.deepEqual(await over(), { steady: 3, sleepy: 0 });
});
