// Webhooks against a real receiver: signed, in order per card, at least once, whatever the receiver or the relay does.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Service, roles, until } from './service.mjs';

let service;
let token;
const receivers = [];

// Answers as `behave(event, attempt)` says: a status, or [status, headers], or null for silence.
class Receiver {
  static async start(behave = () => 200) {
    const receiver = new Receiver();
    receiver.behave = behave;
    receiver.got = [];
    receiver.flying = 0;
    receiver.most = 0;
    receiver.server = createServer((request, response) => receiver.take(request, response));
    await new Promise((resolve) => receiver.server.listen(0, '127.0.0.1', resolve));
    receivers.push(receiver);
    return receiver;
  }

  get url() { return `http://127.0.0.1:${this.server.address().port}/in`; }

  async take(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const event = JSON.parse(body);
    this.got.push({ event, body, headers: request.headers, path: request.url, method: request.method });
    this.most = Math.max(this.most, ++this.flying);
    const answer = await this.behave(event, Number(request.headers['x-attempt']), request);
    this.flying--;
    if (answer === null) return;
    const [status, headers] = Array.isArray(answer) ? answer : [answer, {}];
    response.writeHead(status, headers).end();
    if (status >= 200 && status < 300) this.accepted.push(event);
  }

  accepted = [];
  close() { this.server.closeAllConnections(); this.server.close(); }
}

const signatureOf = (secret, at, body) => createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
function verify(secret, { headers, body }) {
  const parts = headers['x-signature'].split(',').map((part) => part.split('='));
  const at = parts.find(([name]) => name === 't')[1];
  assert.ok(Math.abs(Date.now() / 1000 - Number(at)) < 60);
  return parts.filter(([name]) => name === 'v1').map(([, mac]) => mac).includes(signatureOf(secret, at, body));
}

const command = async (...args) => JSON.parse(await service.command('webhooks', ...args, '--tenant', 'acme', '--json'));
const add = async (name, receiver) => (await command('add', name, '--url', receiver.url ?? receiver)).secret;
const listed = async (name) => (await command('list')).webhooks.find((webhook) => webhook.name === name);
const log = async (name) => (await command('log', name, '--limit', '1000')).deliveries;
const lag = async (name) => (await service.request('GET', '/acme/api/v1/consumers', { token })).body.items.find((item) => item.name === `webhook.${name}`)?.lag;

function assertInOrderPerCard(events) {
  const last = new Map();
  for (const event of events) {
    const before = last.get(event.card) ?? 0;
    assert.ok(event.card_sequence <= before + 1, `${event.card}: ${event.card_sequence} after ${before}`); // again is fine, ahead is not
    last.set(event.card, Math.max(before, event.card_sequence));
  }
}

before(async () => {
  service = await Service.start({ arguments: ['--webhooks-private', 'allow'] });
  token = await service.tenant('acme');
});
after(async () => {
  for (const receiver of receivers) receiver.close();
  await service.destroy();
});

test('events since the webhook was made arrive signed, and a rotated secret overlaps', async () => {
  await service.issue('acme', token); // before: not sent
  const receiver = await Receiver.start();
  const secret = await add('crm', receiver);
  assert.match(secret, /^whsec_[0-9a-f]{64}$/);
  const card = await service.issue('acme', token);
  await until(() => receiver.accepted.length >= 2, 'issued and activated arrive');
  assert.deepEqual(receiver.accepted.map((event) => event.card), receiver.accepted.map(() => card.id));
  assert.equal(receiver.got[0].event.name, 'CardIssued');
  assert.equal(receiver.got[0].method, 'POST');
  assert.equal(receiver.got[0].headers['x-event-id'], receiver.got[0].event.event_id);
  for (const delivery of receiver.got) assert.ok(verify(secret, delivery));
  assert.ok(!verify('whsec_other', receiver.got[0]));
  assert.ok(!JSON.stringify(await command('list')).includes(secret)); // shown once
  const second = (await command('rotate', 'crm', '--overlap-s', '3600')).secret;
  assert.notEqual(second, secret);
  await service.act('acme', token, card.id, 'suspend');
  await until(() => receiver.got.length >= 3, 'the suspension arrives');
  const [latest] = receiver.got.slice(-1);
  if (latest.headers['x-signature'].split('v1=').length === 3) assert.ok(verify(secret, latest) && verify(second, latest));
  await until(async () => {
    await service.act('acme', token, card.id, (receiver.got.length % 2) ? 'reinstate' : 'suspend').catch(() => null);
    const [now] = receiver.got.slice(-1);
    return verify(secret, now) && verify(second, now);
  }, 'both secrets sign');
  await command('rotate', 'crm', '--overlap-s', '0');
  await until(async () => {
    await service.act('acme', token, card.id, (receiver.got.length % 2) ? 'reinstate' : 'suspend').catch(() => null);
    const [now] = receiver.got.slice(-1);
    return !verify(secret, now) && !verify(second, now) && now.headers['x-signature'].split('v1=').length === 2;
  }, 'only the third one signs');
  await command('remove', 'crm');
  assert.equal(await listed('crm'), undefined);
});

test('a receiver that fails gets the event again, and no later one of that card before it', async () => {
  const refused = new Set();
  const receiver = await Receiver.start((event, attempt) => {
    if (event.name === 'CardIssued' && attempt <= 2) { refused.add(event.card); return 500; }
    return 204;
  });
  await add('failing', receiver);
  const cards = await Promise.all([1, 2].map(() => service.issue('acme', token)));
  await until(() => cards.every((card) => receiver.accepted.filter((event) => event.card === card.id).length >= 2), 'everything arrives', 30_000);
  assert.equal(refused.size, 2);
  assertInOrderPerCard(receiver.accepted);
  await until(async () => (await log('failing')).every((entry) => entry.state === 'delivered'), 'the log says so');
  const issued = (await log('failing')).find((entry) => entry.event === 'CardIssued');
  assert.ok(issued.attempts >= 3 && issued.status === 204);
  await until(async () => await lag('failing') === 0, 'its cursor is at the head');
  await command('remove', 'failing');
});

test('410 disables, and enabling goes on where it stopped', async () => {
  let isGone = true;
  const receiver = await Receiver.start(() => (isGone ? 410 : 200));
  await add('gone', receiver);
  const card = await service.issue('acme', token);
  const state = await until(async () => { const webhook = await listed('gone'); return webhook.state === 'disabled' && webhook; }, 'it is disabled');
  assert.equal(state.reason, 'gone');
  const asked = receiver.got.length;
  await service.act('acme', token, card.id, 'suspend');
  isGone = false;
  await command('enable', 'gone');
  await until(() => receiver.accepted.length >= 3, 'everything arrives');
  assert.equal(asked, 1);
  assert.deepEqual(receiver.accepted.map((event) => event.card_sequence), [1, 2, 3]);
  await command('remove', 'gone');
});

test('a redirect is a failure and is not followed', async () => {
  const elsewhere = await Receiver.start();
  const receiver = await Receiver.start((event, attempt) => (attempt === 1 ? [302, { Location: elsewhere.url }] : 200));
  await add('moved', receiver);
  await service.issue('acme', token);
  await until(() => receiver.accepted.length >= 2, 'it is tried again at the same place', 30_000);
  assert.equal(elsewhere.got.length, 0);
  await command('remove', 'moved');
});

test('slow and dead receivers take nothing from another one, and get a bounded number of calls', async () => {
  const slow = await Receiver.start(() => new Promise((resolve) => setTimeout(() => resolve(200), 1500)));
  const silent = await Receiver.start(() => null);
  const good = await Receiver.start();
  await add('slow', slow);
  await add('silent', silent);
  await add('dead', 'http://127.0.0.1:9/in');
  await add('good', good);
  const cards = [];
  for (let i = 0; i < 40; i++) cards.push(await service.issue('acme', token));
  await until(() => cards.every((card) => good.accepted.some((event) => event.card === card.id)), 'the good one has all', 10_000);
  assert.ok(slow.accepted.length < 80);
  assert.ok(slow.most <= 8 && silent.most <= 8 && good.most <= 8);
  for (const name of ['slow', 'silent', 'dead', 'good']) await command('remove', name);
});

test('a range is sent again', async () => {
  const receiver = await Receiver.start();
  await add('again', receiver);
  await service.issue('acme', token);
  await until(() => receiver.accepted.length >= 2, 'it arrives');
  const before = receiver.got.length;
  await command('replay', 'again', '--from', '1', '--to', '3');
  await until(() => receiver.got.length >= before + 3, 'the range arrives');
  const replayed = receiver.got.slice(before);
  assert.deepEqual(replayed.map(({ event }) => event.sequence).sort(), [1, 2, 3]);
  assert.ok(replayed.every(({ headers }) => headers['x-replay'] === '1'));
  await until(async () => (await listed('again')).replay === undefined, 'the replay is over');
  await command('remove', 'again');
});

test('a relay killed midway loses nothing and keeps the order', async () => {
  const receiver = await Receiver.start(() => new Promise((resolve) => setTimeout(() => resolve(200), 5)));
  await add('killed', receiver);
  const cards = [];
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 10; i++) cards.push(await service.issue('acme', token));
    const pid = await until(async () => roles(await service.tree()).relay?.pid, 'there is a relay'); // 0 while it restarts
    assert.ok(pid > 1);
    process.kill(pid, 'SIGKILL');
    for (const card of cards.slice(-3)) await service.act('acme', token, card.id, 'suspend');
  }
  const head = (await service.request('GET', '/acme/api/v1/events?after=9007199254740000', { token })).body.head;
  await until(() => new Set(receiver.accepted.filter((event) => cards.some((card) => card.id === event.card)).map((event) => event.sequence)).size === cards.length * 2 + 12,
    `everything up to ${head} arrives`, 60_000);
  assertInOrderPerCard(receiver.accepted);
  await until(async () => await lag('killed') === 0, 'its cursor is at the head');
  await command('remove', 'killed');
});

test('the same over HTTP: added, rotated, replayed, read and removed, by administrators alone', async () => {
  const receiver = await Receiver.start();
  const post = (what, body, own = token) => service.request('POST', `/acme/api/v1/webhooks${what}`, { token: own, body });
  const get = async (what = '', own = token) => (await service.request('GET', `/acme/api/v1/webhooks${what}`, { token: own })).body;
  const code = async (reply) => { const { status, body } = await reply; return `${status} ${body.code}`; };
  const added = await post('', { name: 'web', url: receiver.url });
  assert.equal(added.status, 200);
  assert.match(added.body.secret, /^whsec_[0-9a-f]{64}$/);
  assert.equal(added.body.disabled, null);
  assert.equal(await code(post('', { name: 'web', url: receiver.url })), '409 webhook_exists');
  await service.issue('acme', token);
  await until(() => receiver.accepted.length >= 2, 'it arrives');
  assert.ok(verify(added.body.secret, receiver.got[0]));
  const rotated = await post('/rotate', { name: 'web', overlap_s: 60 });
  assert.notEqual(rotated.body.secret, added.body.secret);
  assert.ok(rotated.body.previous_secret_until);
  assert.equal((await get()).items.length, 1);
  assert.equal((await get()).items[0].secret, undefined);
  await until(async () => (await get('/log?name=web')).items.length === 2, 'the log');
  assert.equal((await get('/log?name=web')).items[0].state, 'delivered');
  assert.equal((await post('/replay', { name: 'web', first: 1, last: 2 })).status, 200);
  await until(() => receiver.got.length >= 4, 'the range arrives');
  assert.equal((await post('/enable', { name: 'web' })).status, 200);
  const auditor = await service.token('acme', 'auditor');
  assert.equal((await get('', auditor)).items.length, 1);
  assert.equal((await post('', { name: 'x', url: receiver.url }, auditor)).status, 403);
  assert.equal(await code(post('', { name: 'x', url: 'ftp://example.org/' })), '400 invalid_body');
  assert.equal(await code(post('', { name: 'Upper', url: receiver.url })), '400 invalid_body');
  assert.equal(await code(post('/replay', { name: 'web', first: 2, last: 1 })), '400 invalid_parameter');
  assert.equal(await code(post('/rotate', { name: 'nobody' })), '404 webhook_not_found');
  assert.equal((await post('/remove', { name: 'web' })).body.name, 'web');
  assert.equal(await code(post('/remove', { name: 'web' })), '404 webhook_not_found');
});

test('what cannot be is refused', async () => {
  const fails = async (...args) => assert.rejects(service.command('webhooks', ...args, '--tenant', 'acme'));
  await fails('add', 'x', '--url', 'ftp://example.org/');
  await fails('add', 'x', '--url', 'http://user:password@example.org/');
  await fails('add', 'Upper', '--url', 'http://example.org/');
  await fails('remove', 'nobody');
  await fails('replay', 'nobody', '--from', '1', '--to', '2');
});

test('a private address is refused unless it is allowed', async () => {
  const strict = await Service.start();
  try {
    const own = await strict.tenant('acme');
    const receiver = await Receiver.start();
    await strict.command('webhooks', 'add', 'inside', '--url', receiver.url, '--tenant', 'acme');
    await strict.issue('acme', own);
    await until(async () => {
      const { deliveries } = JSON.parse(await strict.command('webhooks', 'log', 'inside', '--tenant', 'acme', '--json'));
      return deliveries.some((entry) => entry.detail === 'address_forbidden' && entry.state === 'retrying');
    }, 'the log says why');
    assert.equal(receiver.got.length, 0);
  } finally {
    await strict.destroy();
  }
});
