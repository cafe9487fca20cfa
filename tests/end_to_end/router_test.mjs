// The ROUTER API and the events of DESIGN 3.4, with Node's zeromq and @msgpack/msgpack.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decode, encode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { Service, until } from './service.mjs';
import { ApiClient, EventFollower } from './clients.mjs';

let service;
let token;
let api;

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme');
  api = new ApiClient(service.api, 'acme', token);
});
after(async () => {
  api.close();
  await service.destroy();
});

const ISSUE = { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true };

test('a change happens only at the version that it names, over ROUTER and over HTTP', async () => {
  const { id, version } = (await api.ask('card.issue', { ...ISSUE, member_id: 'm-condition' })).body;
  const revoke = (condition) => service.request('POST', `/acme/api/v1/cards/${id}/revoke`, { token, headers: { 'If-Match': condition } });
  const stale = await api.ask('card.suspend', { id }, { if_version: version + 1 });
  assert.deepEqual([stale.type, stale.body.code], ['error', 'precondition_failed']);
  assert.equal((await api.ask('card.suspend', { id }, { if_version: version })).body.status, 'suspended');
  const refused = await revoke(`"${version}"`);
  assert.deepEqual([refused.status, refused.body.code], [412, 'precondition_failed']);
  assert.equal((await revoke(`"${version + 1}"`)).body.status, 'revoked');
  assert.equal((await api.ask('card.issue', ISSUE, { if_version: 1 })).body.code, 'invalid_parameter');
});

test('the life of a card over ROUTER, with the documents of HTTP', async () => {
  const issued = await api.ask('card.issue', ISSUE);
  assert.equal(issued.type, 'card.issue.ok');
  const id = issued.body.id;
  const overHttp = await service.request('GET', `/acme/api/v1/cards/${id}`, { token });
  assert.deepEqual(issued.body, overHttp.body);
  assert.deepEqual((await api.ask('card.get', { id })).body, overHttp.body);
  const scanned = await api.ask('card.scan', { qr: issued.body.qr.text, gate: 'north' });
  assert.equal(scanned.type, 'card.scan.ok');
  assert.equal(scanned.body.reason, 'valid');
  assert.equal((await api.ask('card.validate', { id, gate: 'north' })).body.result, 'valid');
  assert.equal((await api.ask('card.suspend', { id, reason: 'x' })).body.status, 'suspended');
  const verdict = await api.ask('card.scan', { qr: issued.body.qr.text, gate: 'north' });
  assert.equal(verdict.type, 'card.scan.ok');
  assert.equal(verdict.body.reason, 'suspended');
  assert.equal((await api.ask('card.reinstate', { id })).body.status, 'active');
  assert.equal((await api.ask('card.renew', { id, expires_at: '2036-01-01T00:00:00Z' })).body.status, 'active');
  assert.equal((await api.ask('card.revoke', { id })).body.status, 'revoked');
  const refused = await api.ask('card.activate', { id });
  assert.equal(refused.type, 'card.activate.refused');
  assert.equal(refused.body.code, 'revoked');
  assert.equal(refused.body.status, 409);
  const history = await api.ask('card.history', { id, limit: 100 });
  assert.deepEqual(history.body.items.map((item) => item.card_sequence).reverse(), history.body.items.map((_, index) => index + 1));
  assert.ok((await api.ask('card.list', { member_id: 'm-1' })).body.items.length >= 1);
});

test('a REQ socket works as well', async () => {
  const socket = new zmq.Request();
  socket.connect(service.api);
  await socket.send([encode({ v: 1, id: 'r1', type: 'card.issue', tenant: 'acme', token }), encode(ISSUE)]);
  const [header, body] = await socket.receive();
  assert.equal(decode(header).type, 'card.issue.ok');
  assert.equal(decode(header).id, 'r1');
  assert.equal(decode(body).status, 'active');
  socket.close();
});

test('a thousand requests in flight on one socket each get their own answer', async () => {
  const card = (await api.ask('card.issue', ISSUE)).body;
  const replies = await Promise.all(Array.from({ length: 1000 }, () => api.ask('card.validate', { id: card.id, gate: 'g' })));
  assert.equal(replies.filter((reply) => reply.type === 'card.validate.ok').length, 1000);
  assert.equal(new Set(replies.map((reply) => reply.body.sequence)).size, 1000);
});

test('idempotency keys hold across HTTP and ROUTER restarts', async () => {
  const first = await api.ask('card.issue', ISSUE, { key: 'router-1' });
  const again = await api.ask('card.issue', ISSUE, { key: 'router-1' });
  assert.deepEqual(again.body, first.body);
  const other = await api.ask('card.issue', { ...ISSUE, tier: 'gold' }, { key: 'router-1' });
  assert.equal(other.type, 'error');
  assert.equal(other.body.code, 'idempotency_key_reused');
});

test('bad frames get an error reply with an exact code', async () => {
  const good = { v: 1, id: 'x', type: 'card.issue', tenant: 'acme', token };
  const cases = [
    [[encode(good), Buffer.from([0xc1])], 'malformed_msgpack'],
    [[encode(good), Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])], 'malformed_msgpack'],
    [[encode(good), encode([])], 'invalid_body'],
    [[encode(good), encode({ ...ISSUE, colour: 'red' })], 'unknown_field'],
    [[encode(good), encode({ ...ISSUE, member_id: 5 })], 'invalid_body'],
    [[encode(good), encode({ member_id: 'm' })], 'invalid_body'],
    [[encode(good), encode({ ...ISSUE, expires_at: '2030-02-30T00:00:00Z' })], 'invalid_dates'],
    [[encode({ ...good, v: 2 }), encode(ISSUE)], 'unsupported_version'],
    [[encode({ ...good, type: 'card.explode' }), encode(ISSUE)], 'unknown_type'],
    [[encode({ ...good, type: 'directory.get' }), encode({ known_version: 0 })], 'unknown_type'],
    [[encode({ ...good, token: 'garbage' }), encode(ISSUE)], 'unauthenticated'],
    [[encode({ ...good, tenant: '../x' }), encode(ISSUE)], 'invalid_tenant'],
    [[encode({ ...good, tenant: 'rival' }), encode(ISSUE)], 'wrong_tenant'],
    [[encode(good), encode({ ...ISSUE, rules: [1] })], 'not_implemented'],
    [[Buffer.from('junk'), Buffer.from('junk')], 'malformed_msgpack'],
    [[encode(good)], 'malformed_msgpack'],
  ];
  for (const [frames, code] of cases) {
    const reply = await api.raw(frames);
    assert.equal(reply.type, 'error', code);
    assert.equal(reply.body.code, code, JSON.stringify(reply.body));
  }
  // {"rules": [[[…]]]}, 100,000 deep: no encoder writes that, so it is put together by hand.
  const bomb = Buffer.concat([Buffer.from([0x81, 0xa5]), Buffer.from('rules'), Buffer.alloc(100_000, 0x91), Buffer.from([0xc0])]);
  assert.equal((await api.raw([encode(good), bomb])).type, 'error');
  assert.equal((await api.ask('card.issue', ISSUE)).type, 'card.issue.ok', 'the socket still works');
});

test('a subscriber sees every event of its tenant and nothing of another', async () => {
  const rival = await service.tenant('rival');
  const follower = new EventFollower(service.events, 'acme');
  await follower.ready();
  const card = (await api.ask('card.issue', { ...ISSUE, holder_name: 'Secret Name' })).body;
  await service.issue('rival', rival, { member_id: 'rival-member' });
  await api.ask('card.scan', { qr: card.qr.text, gate: 'north', direction: 'in' });
  await api.ask('card.revoke', { id: card.id });
  await until(() => follower.events.some((event) => event.header.name === 'CardRevoked' && event.header.card === card.id), 'the revocation is published');
  const mine = follower.events.filter((event) => event.header.card === card.id);
  assert.deepEqual(mine.map((event) => event.header.name), ['CardIssued', 'CardActivated', 'CardValidated', 'CardRevoked']);
  assert.deepEqual(mine.map((event) => event.header.card_sequence), [1, 2, 3, 4]);
  for (const event of mine) {
    assert.equal(event.topic, `digitalcard.acme.${event.header.name}`);
    assert.equal(event.header.tenant, 'acme');
    assert.deepEqual(Object.keys(event.header).sort(), ['card', 'card_sequence', 'event_id', 'name', 'occurred_at', 'partition', 'sequence', 'tenant', 'traceparent', 'v', 'version']);
  }
  const text = JSON.stringify(follower.events);
  assert.ok(!text.includes('rival') && !text.includes('Secret Name'));
  await until(() => follower.heads.get(0) >= mine[3].header.sequence, 'the head is sent every second');
  follower.close();
});

test('a gap is repaired with events.read, exactly', async () => {
  const card = (await api.ask('card.issue', ISSUE)).body;
  for (let index = 0; index < 20; index += 1) await api.ask('card.validate', { id: card.id, gate: 'g' });
  const all = [];
  let page;
  do {
    page = (await api.ask('events.read', { partition: 0, after: all.at(-1)?.sequence ?? 0, limit: 1000 })).body;
    all.push(...page.items);
  } while (page.next_cursor !== null);
  assert.deepEqual(all.map((item) => item.sequence), all.map((_, index) => index + 1));
  assert.equal(page.head, all.at(-1).sequence);
  const middle = await api.ask('events.read', { partition: 0, after: 5, limit: 7 });
  assert.deepEqual(middle.body.items, all.slice(5, 12));
});

test('sequences of several partitions are each gapless', async () => {
  const wide = await service.tenant('wide', '--partitions', '8');
  for (let index = 0; index < 60; index += 1) await service.issue('wide', wide, { member_id: `member-${index}` });
  const client = new ApiClient(service.api, 'wide', wide);
  let total = 0;
  for (let partition = 0; partition < 8; partition += 1) {
    const page = (await client.ask('events.read', { partition, after: 0, limit: 1000 })).body;
    assert.deepEqual(page.items.map((item) => item.sequence), page.items.map((_, index) => index + 1));
    for (const item of page.items) assert.equal(item.partition, partition);
    total += page.items.length;
  }
  assert.equal(total, 120);
  client.close();
});
