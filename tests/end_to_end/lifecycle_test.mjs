// A card is issued, scanned and revoked over HTTP: the contract of DESIGN 3.3 as a client sees it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service, until } from './service.mjs';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
let service;
let token;

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme');
});
after(() => service.destroy());

test('an issued card has every field of the contract', async () => {
  const reply = await service.request('POST', '/acme/api/v1/cards', { token,
    body: { member_id: 'm-42', holder_name: 'Grace Hopper', tier: 'gold', expires_at: '2035-01-01T00:00:00Z' } });
  assert.equal(reply.status, 201);
  const card = reply.body;
  assert.match(card.id, UUID7);
  assert.equal(reply.headers.location, `/acme/api/v1/cards/${card.id}`);
  assert.equal(reply.headers.etag, `"${card.version}"`);
  assert.equal(reply.headers['content-type'].split(';')[0], 'application/json');
  assert.deepEqual(
    { tenant: card.tenant, member_id: card.member_id, holder_name: card.holder_name, tier: card.tier, status: card.status, version: card.version, rules: card.rules },
    { tenant: 'acme', member_id: 'm-42', holder_name: 'Grace Hopper', tier: 'gold', status: 'issued', version: 1, rules: [] });
  for (const name of ['valid_from', 'expires_at', 'issued_at']) assert.match(card[name], TIME, name);
  assert.match(card.qr.text, /^DC1:[0-9A-Z $%*+\-./:]+$/);
  assert.equal(typeof card.qr.kid, 'string');
  const read = await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token });
  assert.deepEqual(read.body, card);
  const unnamed = await service.issue('acme', token, { activate: false });
  assert.equal(unnamed.holder_name, null);
  assert.equal(unnamed.tier, null);
});

test('a suspension with an end lifts itself, also over a restart, and says so in the history', async () => {
  const card = await service.issue('acme', token);
  const end = new Date(Date.now() + 1500).toISOString();
  assert.equal((await service.act('acme', token, card.id, 'suspend', { reason: 'lost and found', until: end })).body.status, 'suspended');
  assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'suspended');
  const shard = (await service.tree()).roles.find((role) => role.name === 'shard-0');
  process.kill(shard.pid, 'SIGKILL');
  await until(async () => (await service.scan('acme', token, card.qr.text)).body.reason === 'valid', 'the suspension ends by itself');
  const history = (await service.request('GET', `/acme/api/v1/cards/${card.id}/history`, { token })).body.items;
  const reinstated = history.filter((item) => item.name === 'CardReinstated');
  assert.equal(reinstated.length, 1);
  assert.equal(Date.parse(reinstated[0].data.until), Date.parse(end));
  assert.equal(reinstated[0].data.subject, undefined);
  const wrong = await service.act('acme', token, card.id, 'revoke', { until: end });
  assert.equal(wrong.status, 400);
  assert.match(wrong.body.detail, /until is given only when a card is suspended/);
});

test('the whole life: issue, activate, scan, suspend, reinstate, renew, replace, revoke', async () => {
  const card = await service.issue('acme', token, { activate: false });
  const scanReason = async (qr = card.qr.text) => (await service.scan('acme', token, qr)).body.reason;
  assert.equal(await scanReason(), 'not_active');
  assert.equal((await service.act('acme', token, card.id, 'activate')).body.status, 'active');
  const verdict = (await service.scan('acme', token, card.qr.text, { zone: 'hall', direction: 'in', at: new Date().toISOString(),
    location: { latitude: 47.4, longitude: 8.5, accuracy_m: 5 } })).body;
  assert.equal(verdict.result, 'valid');
  assert.equal(verdict.reason, 'valid');
  assert.equal(verdict.card.id, card.id);
  assert.equal(verdict.fallback, false);
  assert.ok(verdict.sequence > 0);
  assert.match(verdict.validation_id, UUID7);
  assert.match(verdict.recorded_at, TIME);
  assert.match(verdict.at, TIME);
  assert.ok(verdict.message.length > 0);
  assert.equal((await service.act('acme', token, card.id, 'suspend', { reason: 'fee unpaid' })).body.status, 'suspended');
  assert.equal(await scanReason(), 'suspended');
  assert.equal((await service.act('acme', token, card.id, 'reinstate')).body.status, 'active');
  const renewed = await service.act('acme', token, card.id, 'renew', { expires_at: '2036-06-01T00:00:00Z' });
  assert.equal(Date.parse(renewed.body.expires_at), Date.parse('2036-06-01T00:00:00Z'));
  assert.equal(renewed.headers.etag, `"${renewed.body.version}"`);
  const replaced = await service.act('acme', token, card.id, 'replace', { reason: 'lost' });
  assert.equal(replaced.status, 200);
  assert.notEqual(replaced.body.id, card.id);
  assert.equal(replaced.body.replaces, card.id);
  assert.equal(replaced.body.status, 'active');
  assert.equal(await scanReason(), 'replaced');
  assert.equal(await scanReason(replaced.body.qr.text), 'valid');
  const old = await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token });
  assert.equal(old.body.status, 'replaced');
  assert.equal(old.body.replaced_by, replaced.body.id);
  assert.equal((await service.act('acme', token, replaced.body.id, 'revoke', { reason: 'left' })).body.status, 'revoked');
  assert.equal(await scanReason(replaced.body.qr.text), 'revoked');
  const refused = await service.act('acme', token, replaced.body.id, 'reinstate');
  assert.equal(refused.status, 409);
  assert.equal(refused.body.code, 'revoked');
  assert.equal(refused.headers['content-type'].split(';')[0], 'application/problem+json');
});

test('the version changes with the card, not with its validations', async () => {
  const card = await service.issue('acme', token);
  await service.scan('acme', token, card.qr.text);
  await service.scan('acme', token, card.qr.text);
  const read = await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token });
  assert.equal(read.body.version, card.version);
  assert.equal(read.headers.etag, `"${card.version}"`);
  const notModified = await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token, headers: { 'If-None-Match': read.headers.etag } });
  assert.equal(notModified.status, 304);
  assert.equal(notModified.raw.length, 0);
});

test('the history is newest first, gapless and paged', async () => {
  const card = await service.issue('acme', token);
  for (let index = 0; index < 7; index += 1) await service.scan('acme', token, card.qr.text);
  await service.act('acme', token, card.id, 'revoke', { reason: 'left' });
  const items = [];
  let cursor = '';
  do {
    const page = await service.request('GET', `/acme/api/v1/cards/${card.id}/history?limit=4${cursor}`, { token });
    assert.equal(page.status, 200);
    items.push(...page.body.items);
    cursor = page.body.next_cursor === null ? null : `&cursor=${encodeURIComponent(page.body.next_cursor)}`;
  } while (cursor !== null);
  assert.deepEqual(items.map((item) => item.card_sequence), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  assert.deepEqual(items.map((item) => item.name), ['CardRevoked', ...Array(7).fill('CardValidated'), 'CardActivated', 'CardIssued']);
  assert.deepEqual(Object.keys(items[0]).sort(), ['card_sequence', 'data', 'event_id', 'name', 'occurred_at', 'sequence']);
  assert.equal(items[0].data.reason, 'left');
  assert.equal(new Set(items.map((item) => item.event_id)).size, items.length);
});

test('lists filter by status and member, and page without loss', async () => {
  const member = 'lister';
  const made = [];
  for (let index = 0; index < 9; index += 1) made.push((await service.issue('acme', token, { member_id: member })).id);
  await service.act('acme', token, made[0], 'revoke');
  const seen = [];
  let target = `/acme/api/v1/cards?member_id=${member}&limit=4`;
  for (;;) {
    const page = (await service.request('GET', target, { token })).body;
    seen.push(...page.items.map((card) => card.id));
    if (page.next_cursor === null) break;
    target = `/acme/api/v1/cards?member_id=${member}&limit=4&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  assert.deepEqual([...seen].sort(), [...made].sort());
  const revoked = await service.request('GET', `/acme/api/v1/cards?member_id=${member}&status=revoked`, { token });
  assert.deepEqual(revoked.body.items.map((card) => card.id), [made[0]]);
  const found = await service.request('GET', '/acme/api/v1/cards?q=LIST', { token });
  assert.equal(found.body.items.length, 9);
});

test('a card expires by the clock: in views at once, for scans and commands too', async () => {
  const soon = new Date(Date.now() + 1500).toISOString();
  const card = await service.issue('acme', token, { expires_at: soon });
  assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  const deadline = Date.parse(soon) + 20;
  while (Date.now() < deadline) await service.request('GET', '/health/live');
  const read = await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token });
  assert.equal(read.body.status, 'expired');
  assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'expired');
  const refused = await service.act('acme', token, card.id, 'suspend');
  assert.equal(refused.status, 409);
  assert.equal(refused.body.code, 'expired');
  const renewed = await service.act('acme', token, card.id, 'renew', { expires_at: '2035-01-01T00:00:00Z' });
  assert.equal(renewed.body.status, 'active');
});

test('a card that is not yet valid is refused as such', async () => {
  const card = await service.issue('acme', token, { valid_from: '2034-01-01T00:00:00Z' });
  assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'not_yet_valid');
});

test('validation by id checks the code when it is given', async () => {
  const card = await service.issue('acme', token);
  const other = await service.issue('acme', token);
  const validate = async (body) => (await service.request('POST', `/acme/mapi/v1/cards/${card.id}/validate`, { token, body: { gate: 'g', ...body } })).body.reason;
  assert.equal(await validate({}), 'valid');
  assert.equal(await validate({ qr: card.qr.text }), 'valid');
  assert.equal(await validate({ qr: other.qr.text }), 'bad_signature');
  assert.equal(await validate({ qr: 'DC1:NONSENSE' }), 'bad_signature');
  const unknown = await service.request('POST', '/acme/mapi/v1/cards/01890000-0000-7000-8000-000000000000/validate', { token, body: { gate: 'g' } });
  assert.equal(unknown.status, 200);
  assert.equal(unknown.body.reason, 'unknown_card');
  assert.equal(unknown.body.sequence, null);
});

test('replay of events over HTTP is complete and in order', async () => {
  const card = await service.issue('acme', token, { member_id: 'replayed' });
  let after = 0;
  const events = [];
  for (;;) {
    const page = (await service.request('GET', `/acme/api/v1/events?after=${after}&limit=100`, { token })).body;
    events.push(...page.items);
    if (page.next_cursor === null) break;
    after = page.next_cursor;
  }
  assert.deepEqual(events.map((event) => event.sequence), events.map((_, index) => index + 1));
  assert.ok(events.some((event) => event.card === card.id && event.name === 'CardIssued'));
  assert.ok(!JSON.stringify(events).includes('Grace Hopper'), 'published events hold no names');
});

test('an idempotent repeat gets the first reply, byte for byte, also after a restart', async () => {
  const body = { member_id: 'once', expires_at: '2035-01-01T00:00:00Z' };
  const send = (key, change = {}) => service.request('POST', '/acme/api/v1/cards', { token, body: { ...body, ...change }, headers: { 'Idempotency-Key': key } });
  const first = await send('"key-1"');
  const second = await send('key-1');
  assert.equal(first.status, 201);
  for (const name of ['location', 'etag']) assert.equal(second.headers[name], first.headers[name]);
  assert.equal(second.status, 201);
  assert.deepEqual(second.raw, first.raw);
  const other = await send('key-1', { tier: 'gold' });
  assert.equal(other.status, 422);
  assert.equal(other.body.code, 'idempotency_key_reused');
  const refusedFirst = await service.act('acme', token, first.body.id, 'reinstate', {}, { 'Idempotency-Key': 'key-2' });
  assert.equal(refusedFirst.status, 409);
  await service.stop();
  await service.spawn();
  const third = await send('key-1');
  assert.deepEqual(third.raw, first.raw);
  await service.act('acme', token, first.body.id, 'activate');
  const refusedAgain = await service.act('acme', token, first.body.id, 'reinstate', {}, { 'Idempotency-Key': 'key-2' });
  assert.deepEqual(refusedAgain.raw, refusedFirst.raw);
  const list = await service.request('GET', '/acme/api/v1/cards?member_id=once', { token });
  assert.equal(list.body.items.length, 1);
});

test('every reply that an actor decided is repeated byte for byte; a key belongs to its method, path, body and subject', async () => {
  const card = await service.issue('acme', token);
  const unknown = `${card.id.slice(0, -4)}${card.id.endsWith('0000') ? '0001' : '0000'}`;
  const issue = { member_id: 'm', expires_at: '2035-01-01T00:00:00Z' };
  const requests = [
    [`/acme/api/v1/cards/${unknown}/revoke`, {}, 404],
    ['/acme/api/v1/cards', { ...issue, expires_at: '2001-01-01T00:00:00Z' }, 400],
    [`/acme/api/v1/cards/${card.id}/activate`, {}, 409],
    [`/acme/api/v1/cards/${card.id}/suspend`, { reason: 'fee' }, 200],
    ['/acme/mapi/v1/scans', { qr: card.qr.text, gate: 'g' }, 200],
    ['/acme/mapi/v1/scans', { qr: 'DC1:FORGED', gate: 'g' }, 200],
    [`/acme/mapi/v1/cards/${unknown}/validate`, { gate: 'g' }, 200],
  ];
  for (const [index, [target, body, status]] of requests.entries()) {
    const headers = { 'Idempotency-Key': `decided-${index}` };
    const first = await service.request('POST', target, { token, body, headers });
    const second = await service.request('POST', target, { token, body, headers });
    assert.equal(first.status, status, target);
    assert.equal(second.status, status, target);
    assert.deepEqual(second.raw, first.raw, target);
    const moved = await service.request('POST', `/acme/api/v1/cards/${card.id}/reinstate`, { token, body: {}, headers });
    assert.equal(moved.status, 422);
    const someoneElse = await service.token('acme', 'tenant_admin', '--subject', 'another');
    assert.equal((await service.request('POST', target, { token: someoneElse, body, headers })).status, 422);
  }
  const weak = await service.token('acme', 'validator');
  const denied = await service.request('POST', '/acme/api/v1/cards', { token: weak, body: issue, headers: { 'Idempotency-Key': 'decided-1' } });
  assert.equal(denied.status, 403, 'authorisation comes first');
  const malformed = { token, body: '{', headers: { 'Idempotency-Key': 'syntax' } };
  assert.equal((await service.request('POST', '/acme/api/v1/cards', malformed)).status, 400);
  assert.equal((await service.request('POST', '/acme/api/v1/cards', { ...malformed, body: issue })).status, 201, 'syntax errors are not stored');
});

test('the six routing cases, and what is not built yet, answer with a problem', async () => {
  const card = await service.issue('acme', token);
  for (const target of ['/mapi/v1/anything', '/acme/mapi/v1/guest-cards', '/api/v1/tenants', '/acme/api/v1/guest-cards', '/page', '/acme/page']) {
    const reply = await service.request('GET', target, { token });
    assert.equal(reply.status, 501, target);
    assert.equal(reply.body.code, 'not_implemented', target);
  }
  assert.equal((await service.request('GET', `/acme/mapi/v1/cards/${card.id}`, { token })).body.id, card.id);
  assert.equal((await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token })).body.id, card.id);
  assert.equal((await service.request('GET', '/')).status, 200);
  const head = await service.request('HEAD', `/acme/api/v1/cards/${card.id}`, { token });
  assert.equal(head.headers.etag, `"${card.version}"`);
  assert.equal(head.raw.length, 0);
});

test('one key sent twenty times at once has one effect', async () => {
  const replies = await Promise.all(Array.from({ length: 20 }, () => service.request('POST', '/acme/api/v1/cards', { token,
    body: { member_id: 'burst', expires_at: '2035-01-01T00:00:00Z' }, headers: { 'Idempotency-Key': 'burst-1' } })));
  for (const reply of replies) assert.ok(reply.status === 201 || (reply.status === 409 && reply.body.code === 'idempotency_key_in_flight'), `${reply.status} ${reply.raw}`);
  assert.equal(new Set(replies.filter((reply) => reply.status === 201).map((reply) => reply.body.id)).size, 1);
  const list = await service.request('GET', '/acme/api/v1/cards?member_id=burst', { token });
  assert.equal(list.body.items.length, 1);
});

test('keys rotate: old codes pass until their key is retired', async () => {
  const keyed = await service.tenant('keyed');
  const card = await service.issue('keyed', keyed);
  await service.command('key', 'rotate', '--tenant', 'keyed');
  const scan = async (qr) => (await service.scan('keyed', keyed, qr)).body.reason;
  let fresh;
  for (const deadline = Date.now() + 3000; Date.now() < deadline;) {
    fresh = (await service.request('GET', `/keyed/api/v1/cards/${card.id}`, { token: keyed })).body;
    if (fresh.qr.kid !== card.qr.kid) break;
  }
  assert.notEqual(fresh.qr.kid, card.qr.kid);
  assert.equal(await scan(card.qr.text), 'valid');
  assert.equal(await scan(fresh.qr.text), 'valid');
  await service.command('key', 'retire', '--tenant', 'keyed', '--kid', card.qr.kid);
  let reason = 'valid';
  for (const deadline = Date.now() + 3000; reason === 'valid' && Date.now() < deadline;) reason = await scan(card.qr.text);
  assert.equal(reason, 'key_retired');
  assert.equal(await scan(fresh.qr.text), 'valid');
});
