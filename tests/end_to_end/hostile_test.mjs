// Bad input gets a problem with an exact code and changes nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import net from 'node:net';
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { SignJWT, UnsecuredJWT, importJWK, exportJWK } from 'jose';
import { Service } from './service.mjs';

let service;
let token;
let other;
let card;
const ISSUE = { member_id: 'm', expires_at: '2035-01-01T00:00:00Z' };

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme');
  other = await service.tenant('rival');
  card = await service.issue('acme', token);
});
after(() => service.destroy());

async function headOf(tenant = 'acme', bearer = token) {
  return (await service.request('GET', `/${tenant}/api/v1/events?after=0&limit=1`, { token: bearer })).body.head;
}

function problemIs(reply, status, code) {
  assert.equal(reply.status, status, `${reply.raw}`);
  assert.equal(reply.headers['content-type'].split(';')[0], 'application/problem+json');
  assert.equal(reply.body.code, code, `${reply.raw}`);
  assert.equal(reply.body.status, status);
  assert.match(reply.body.type, /^https:\/\//);
  assert.match(reply.body.trace_id, /^[0-9a-f]{32}$/);
  assert.ok(reply.body.title.length > 0 && reply.body.detail.length > 0);
}

const bodies = [
  ['broken JSON', '{"member_id":', 400, 'malformed_json'],
  ['an empty body', '', 400, 'malformed_json'],
  ['a trailing comma', '{"member_id":"m",}', 400, 'malformed_json'],
  ['bytes that are no UTF-8', Buffer.from('{"member_id":"\xff\xfe","expires_at":"2035-01-01T00:00:00Z"}', 'latin1'), 400, 'malformed_json'],
  ['two documents', '{} {}', 400, 'malformed_json'],
  ['NaN', '{"member_id":"m","expires_at":NaN}', 400, 'malformed_json'],
  ['an array', '[]', 400, 'invalid_body'],
  ['a number', '5', 400, 'invalid_body'],
  ['null', 'null', 400, 'invalid_body'],
  ['deep nesting', `{"member_id":"m","rules":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 400, 'invalid_body'],
  ['a wrong type', { ...ISSUE, member_id: 5 }, 400, 'invalid_body', 'member_id'],
  ['a missing field', { member_id: 'm' }, 400, 'invalid_body', 'expires_at'],
  ['an empty member id', { ...ISSUE, member_id: '' }, 400, 'invalid_body', 'member_id'],
  ['a long member id', { ...ISSUE, member_id: 'x'.repeat(129) }, 400, 'invalid_body', 'member_id'],
  ['a NUL in a text', '{"member_id":"a\\u0000b","expires_at":"2035-01-01T00:00:00Z"}', 400, 'invalid_body', 'member_id'],
  ['an unknown field', { ...ISSUE, colour: 'red' }, 400, 'unknown_field', 'colour'],
  ['a field twice', '{"member_id":"a","member_id":"b","expires_at":"2035-01-01T00:00:00Z"}', 400, 'invalid_body'],
  ['a huge number for a text', '{"member_id":1e999,"expires_at":"2035-01-01T00:00:00Z"}', 400, 'invalid_body'],
  ['expiry before valid_from', { ...ISSUE, valid_from: '2034-01-01T00:00:00Z', expires_at: '2033-01-01T00:00:00Z' }, 400, 'invalid_dates'],
  ['expiry in the past', { ...ISSUE, expires_at: '2001-01-01T00:00:00Z' }, 400, 'invalid_dates'],
  ['year 0', { ...ISSUE, expires_at: '0000-01-01T00:00:00Z' }, 400, 'invalid_dates', 'expires_at'],
  ['year 9999', { ...ISSUE, expires_at: '9999-01-01T00:00:00Z' }, 400, 'invalid_dates', 'expires_at'],
  ['a leap second', { ...ISSUE, expires_at: '2030-06-30T23:59:60Z' }, 400, 'invalid_dates', 'expires_at'],
  ['30 February', { ...ISSUE, expires_at: '2030-02-30T00:00:00Z' }, 400, 'invalid_dates', 'expires_at'],
  ['no time zone', { ...ISSUE, expires_at: '2030-02-01T00:00:00' }, 400, 'invalid_dates', 'expires_at'],
  ['rules that do not exist yet', { ...ISSUE, rules: [{ type: 'zone' }] }, 501, 'not_implemented'],
];

for (const [name, body, status, code, field] of bodies) {
  test(`issue with ${name} is ${status} ${code} and changes nothing`, async () => {
    const before = await headOf();
    const reply = await service.request('POST', '/acme/api/v1/cards', { token, body });
    problemIs(reply, status, code);
    if (field !== undefined) assert.equal(reply.body.field, field);
    if (code === 'unknown_field') assert.match(reply.body.detail, /colour/);
    assert.equal(await headOf(), before);
  });
}

test('a body over 1 MiB is refused', async () => {
  const reply = await service.request('POST', '/acme/api/v1/cards', { token, body: `{"member_id":"${'x'.repeat(1_100_000)}"}` }).catch((error) => error);
  if (reply instanceof Error) assert.match(String(reply.code), /ECONNRESET|EPIPE/);
  else problemIs(reply, 413, 'body_too_large');
});

test('a body of another media type is 415', async () => {
  problemIs(await service.request('POST', '/acme/api/v1/cards', { token, body: 'a=b', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }), 415, 'unsupported_media_type');
});

test('ids that are no UUID are 400, unknown ones 404, those of another tenant 404', async () => {
  problemIs(await service.request('GET', '/acme/api/v1/cards/not-a-uuid', { token }), 400, 'invalid_id');
  problemIs(await service.request('GET', `/acme/api/v1/cards/${randomUUID()}`, { token }), 404, 'card_not_found');
  problemIs(await service.request('GET', `/rival/api/v1/cards/${card.id}`, { token: other }), 404, 'card_not_found');
  problemIs(await service.act('rival', other, card.id, 'revoke'), 404, 'card_not_found');
  const history = await service.request('GET', `/rival/api/v1/cards/${card.id}/history`, { token: other });
  if (history.status === 200) assert.deepEqual(history.body.items, []);
  else problemIs(history, 404, 'card_not_found');
  assert.equal((await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token })).body.status, 'active');
});

test("another tenant's token is 403, and says nothing about what exists", async () => {
  problemIs(await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token: other }), 403, 'wrong_tenant');
  const known = await service.request('GET', '/acme/api/v1/cards', { token: other });
  const unknown = await service.request('GET', '/nobody/api/v1/cards', { token: other });
  assert.equal(known.body.code, unknown.body.code);
});

for (const [name, segment] of [['dots', '..%2f'], ['dots alone', '..'], ['an escaped slash', 'a%2Fb'], ['NUL', 'a%00b'], ['upper case', 'Acme'],
  ['300 characters', 'a'.repeat(300)], ['a bad escape', 'a%zz'], ['a reserved name', 'metrics']]) {
  test(`a tenant name with ${name} is a problem`, async () => {
    const reply = await service.request('GET', `/${segment}/api/v1/cards`, { token });
    assert.ok([400, 403, 404].includes(reply.status), `${reply.status}`);
    problemIs(reply, reply.status, reply.body.code);
    assert.ok(['invalid_tenant', 'invalid_request', 'not_found', 'wrong_tenant'].includes(reply.body.code), reply.body.code);
  });
}

test('tokens: missing, garbage, none, key-confused, foreign, expired, tampered are 401', async () => {
  const get = (bearer) => service.request('GET', `/acme/api/v1/cards/${card.id}`, { token: bearer });
  const jwks = (await service.request('GET', '/.well-known/jwks.json')).body;
  const published = jwks.keys[0];
  assert.equal(published.alg, 'ES256');
  assert.equal(published.d, undefined);
  const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  const claims = { ...payload };
  const none = await service.request('GET', `/acme/api/v1/cards/${card.id}`);
  problemIs(none, 401, 'unauthenticated');
  assert.match(none.headers['www-authenticate'], /^Bearer/);
  problemIs(await get('garbage'), 401, 'unauthenticated');
  problemIs(await get(new UnsecuredJWT(claims).encode()), 401, 'unauthenticated');
  const encode = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
  const confused = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
  for (const secret of [JSON.stringify(published), published.x, Buffer.from(published.x, 'base64url')]) {
    problemIs(await get(`${confused}.${createHmac('sha256', secret).update(confused).digest('base64url')}`), 401, 'unauthenticated');
  }
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  problemIs(await get(await new SignJWT(claims).setProtectedHeader(header).sign(foreign.privateKey)), 401, 'unauthenticated');
  const foreignJwk = await exportJWK(foreign.publicKey);
  problemIs(await get(await new SignJWT(claims).setProtectedHeader({ ...header, jwk: foreignJwk }).sign(foreign.privateKey)), 401, 'unauthenticated');
  const parts = token.split('.');
  problemIs(await get(`${parts[0]}.${encode({ ...claims, role: 'platform_admin' })}.${parts[2]}`), 401, 'unauthenticated');
  problemIs(await get(`${token}.x`), 401, 'unauthenticated');
  problemIs(await get('x'.repeat(5000)), 401, 'unauthenticated');
  for (const foreign of ['=', '+', 'A=', '====']) { // claims that are no base64url, not signed by anybody
    for (let cut = parts[1].length - 8; cut < parts[1].length; cut++) {
      problemIs(await get(`${parts[0]}.${parts[1].slice(0, cut)}${foreign}.${parts[2]}`), 401, 'unauthenticated');
    }
  }
  const short = await service.token('acme', 'tenant_admin', '--ttl', '1');
  let reply = await get(short);
  for (const deadline = Date.now() + 8000; reply.status === 200 && Date.now() < deadline;) reply = await get(short);
  problemIs(reply, 401, 'token_expired');
  assert.ok(await importJWK(published, 'ES256'));
});

test('nothing of all this ended a role', async () => {
  for (const role of (await service.tree()).roles) assert.equal(role.restarts, 0, `${role.name}: ${role.last_exit}`);
});

test('roles are enforced', async () => {
  const as = Object.fromEntries(await Promise.all(['issuer', 'validator', 'auditor', 'member'].map(async (role) => [role, await service.token('acme', role, '--subject', 'm-1')])));
  const scan = (bearer) => service.scan('acme', bearer, card.qr.text);
  const get = (bearer, id = card.id, api = 'api') => service.request('GET', `/acme/${api}/v1/cards/${id}`, { token: bearer });
  assert.equal((await scan(as.validator)).status, 200);
  problemIs(await scan(as.issuer), 403, 'forbidden');
  problemIs(await scan(as.member), 403, 'forbidden');
  problemIs(await service.act('acme', as.validator, card.id, 'revoke'), 403, 'forbidden');
  problemIs(await service.act('acme', as.auditor, card.id, 'revoke'), 403, 'forbidden');
  problemIs(await get(as.validator), 403, 'forbidden');
  const audited = await get(as.auditor);
  assert.equal(audited.status, 200);
  assert.equal(audited.body.qr, null);
  assert.equal((await get(as.member, card.id, 'mapi')).body.qr.text, card.qr.text);
  const someoneElses = await service.issue('acme', token, { member_id: 'm-2' });
  problemIs(await get(as.member, someoneElses.id, 'mapi'), 404, 'card_not_found');
  problemIs(await service.request('GET', `/acme/api/v1/cards/${card.id}/qr.svg`, { token: as.auditor }), 403, 'forbidden');
});

test('every code that is scanned gets a verdict', async () => {
  const foreign = await service.issue('rival', other);
  const before = await headOf();
  const body = card.qr.text;
  const flipped = body.slice(0, 30) + (body[30] === 'A' ? 'B' : 'A') + body.slice(31);
  const expected = [
    ['', 'bad_signature'], ['x', 'bad_signature'], ['DC1:', 'bad_signature'], [body.slice(0, 40), 'bad_signature'], [`${body}0`, 'bad_signature'],
    [flipped, 'bad_signature'], [foreign.qr.text, 'wrong_tenant'], ['é'.repeat(512), 'bad_signature'], ['HC1:6BFOXN', 'bad_signature'],
    ['\u0007\t\n', 'bad_signature'], ['A'.repeat(1024), 'bad_signature'], ['A'.repeat(1025), 400], [body.toLowerCase(), 'bad_signature'],
  ];
  for (const [qr, reason] of expected) {
    const reply = await service.scan('acme', token, qr);
    if (reason === 400) {
      problemIs(reply, 400, 'invalid_body');
      continue;
    }
    assert.equal(reply.status, 200, `${JSON.stringify(qr)}: ${reply.raw}`);
    assert.equal(reply.body.reason, reason, JSON.stringify(qr));
    assert.equal(reply.body.result, 'refused');
    assert.equal(reply.body.sequence, null);
    assert.equal(reply.body.card, undefined);
  }
  assert.equal(await headOf(), before, 'verdicts without a card are not in the journal');
});

test('a scan from the future is refused, one from the past recorded', async () => {
  problemIs(await service.scan('acme', token, card.qr.text, { at: new Date(Date.now() + 120_000).toISOString() }), 400, 'invalid_dates');
  const verdict = await service.scan('acme', token, card.qr.text, { at: '2020-01-01T00:00:00Z' });
  assert.equal(verdict.body.reason, 'valid');
  assert.equal(Date.parse(verdict.body.at), Date.parse('2020-01-01T00:00:00Z'));
});

test('paths, methods and parameters that do not exist say so', async () => {
  problemIs(await service.request('GET', '/acme/api/v1/nonsense', { token }), 404, 'not_found');
  const put = await service.request('PUT', '/acme/api/v1/cards', { token, body: {} });
  problemIs(put, 405, 'method_not_allowed');
  assert.match(put.headers.allow, /POST/);
  problemIs(await service.request('GET', '/acme/api/v1/cards?colour=red', { token }), 400, 'invalid_parameter');
  problemIs(await service.request('GET', '/acme/api/v1/cards?limit=0', { token }), 400, 'invalid_parameter');
  problemIs(await service.request('GET', '/acme/api/v1/cards?limit=x', { token }), 400, 'invalid_parameter');
  problemIs(await service.request('GET', '/acme/api/v1/cards?cursor=zzz', { token }), 400, 'invalid_cursor');
  problemIs(await service.request('GET', '/acme/api/v1/guest-cards', { token }), 501, 'not_implemented');
  problemIs(await service.request('POST', '/acme/api/v1/cards', { token, body: ISSUE, headers: { 'Idempotency-Key': 'k'.repeat(200) } }), 400, 'invalid_parameter');
});

// What a proxy in front might read otherwise: request smuggling. Raw sockets, since no client sends this.
function raw(text) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(service.ports.http, '127.0.0.1');
    let answer = '';
    socket.setTimeout(8000, () => { socket.destroy(); resolve(answer); });
    socket.on('data', (part) => { answer += part; });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    socket.write(text);
  });
}
const HOST = 'Host: localhost\r\n';
for (const [name, text] of [
  ['both lengths', `POST /acme/api/v1/cards HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
  ['two equal lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
  ['a signed length', `POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\nhello`],
  ['a blank before the colon', `GET / HTTP/1.1\r\n${HOST}X-A : b\r\n\r\n`],
  ['a bare line feed', `GET / HTTP/1.1\n${HOST}\n\n`],
  ['a folded header', `GET / HTTP/1.1\r\n${HOST}X-A: b\r\n c\r\n\r\n`],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ['identity, chunked', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`],
  ['an odd version', `GET / HTTP/1.2\r\n${HOST}\r\n`],
  ['NUL in a value', `GET / HTTP/1.1\r\n${HOST}X-A: b\0c\r\n\r\n`],
]) {
  test(`a request with ${name} is refused and the connection closed`, async () => {
    const answer = await raw(text);
    assert.match(answer, /^HTTP\/1\.1 (400|501|505) /, answer.slice(0, 200));
    assert.equal(answer.match(/HTTP\/1\.1 \d/g).length, 1, 'one answer only');
  });
}

test('pipelined requests are answered in order', async () => {
  const one = (target) => `GET ${target} HTTP/1.1\r\n${HOST}\r\n`;
  const answer = await raw(one('/health/live') + one('/health/nowhere') + one('/health/live') + `GET /health/live HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  assert.deepEqual([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]), ['200', '404', '200', '200']);
});
