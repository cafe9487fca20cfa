// Webhooks against a real receiver: signed, in order per card, at least once, whatever the receiver or the relay does.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { ApiClient } from './clients.mjs';
import { Receiver, assertInOrderPerCard, namesakes, surviveKills, verify } from './receiver.mjs';
import { Service, until } from './service.mjs';

let service;
let token;

const command = async (...args) => JSON.parse(await service.command('webhooks', ...args, '--tenant', 'acme', '--json'));
const add = async (name, receiver) => (await command('add', name, '--url', receiver.url ?? receiver)).secret;
const listed = async (name) => (await command('list')).webhooks.find((webhook) => webhook.name === name);
const log = async (name) => (await command('log', name, '--limit', '1000')).deliveries;
const lag = async (name) => (await service.request('GET', '/acme/api/v1/consumers', { token })).body.items.find((item) => item.name === `webhook.${name}`)?.lag;

before(async () => {
  service = await Service.start({ arguments: ['--webhooks-private', 'allow'] });
  token = await service.tenant('acme');
});
after(async () => {
  Receiver.closeAll();
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
  await surviveKills(service, token, add, lag);
  await command('remove', 'killed');
});

test('a tenant that is made anew shares nothing with the one before', () => namesakes(service));

test('the same over ROUTER, and nobody sees the webhooks of another tenant', async () => {
  const receiver = await Receiver.start();
  const otherToken = await service.tenant('other');
  const acme = new ApiClient(service.api, 'acme', token);
  const other = new ApiClient(service.api, 'other', otherToken);
  const stranger = new ApiClient(service.api, 'acme', otherToken);
  try {
    const added = await acme.ask('webhook.add', { name: 'api', url: receiver.url });
    assert.equal(added.type, 'webhook.add.ok');
    assert.match(added.body.secret, /^whsec_/);
    await service.issue('acme', token);
    await until(() => receiver.accepted.length >= 2, 'it arrives');
    assert.ok(verify(added.body.secret, receiver.got[0]));
    await until(async () => (await acme.ask('webhook.log', { name: 'api' })).body.items.length >= 2, 'the log');
    assert.equal((await acme.ask('webhook.list', {})).body.items.length, 1);
    assert.equal((await acme.ask('webhook.replay', { name: 'api', first: 1, last: 2 })).type, 'webhook.replay.ok');
    await until(() => receiver.got.length >= 4, 'the range');
    assert.notEqual((await acme.ask('webhook.rotate', { name: 'api', overlap_s: 5 })).body.secret, added.body.secret);
    assert.deepEqual((await other.ask('webhook.list', {})).body.items, []);
    for (const [type, body] of [['webhook.log', { name: 'api' }], ['webhook.rotate', { name: 'api' }], ['webhook.remove', { name: 'api' }],
      ['webhook.replay', { name: 'api', first: 1, last: 1 }], ['webhook.enable', { name: 'api' }]]) {
      const own = await other.ask(type, body);
      assert.ok(own.body.code === 'webhook_not_found' || own.body.items?.length === 0, `${type}: ${JSON.stringify(own.body)}`);
      const theirs = await stranger.ask(type, body);
      assert.equal(theirs.type, 'error', type);
      assert.equal(theirs.body.status, 403, `${type}: ${JSON.stringify(theirs.body)}`);
    }
    const reserved = await acme.ask('events.ack', { consumer: 'webhook.api', sequence: 1 });
    assert.equal(reserved.body.code, 'invalid_body');
    assert.equal((await acme.ask('webhook.enable', { name: 'api' })).type, 'webhook.enable.ok');
    const removed = await acme.ask('webhook.remove', { name: 'api' });
    assert.equal(removed.type, 'webhook.remove.ok');
    assert.equal((await acme.ask('webhook.remove', { name: 'api' })).body.code, 'webhook_not_found');
    assert.ok(!service.log.includes(added.body.secret) && !service.log.includes(receiver.url), 'neither secret nor URL in the log');
  } finally {
    for (const client of [acme, other, stranger]) client.close();
  }
});

test('a receiver that never stops talking, or says nonsense, costs a bounded answer', async () => {
  const sockets = [];
  const talk = (head, part) => new Promise((resolve) => {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(head);
        const more = () => { while (!socket.destroyed && socket.write(part)); };
        socket.on('drain', more);
        more();
      });
    });
    server.listen(0, '127.0.0.1', () => { sockets.push(server); resolve(`http://127.0.0.1:${server.address().port}/`); });
  });
  const filler = 'x'.repeat(65536);
  await add('endless', await talk('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', `10000\r\n${filler}\r\n`));
  await add('headers', await talk('HTTP/1.1 200 OK\r\n', `X-More: ${filler.slice(0, 1000)}\r\n`));
  await add('nonsense', await talk('220 mail.example ESMTP\r\n', '500 what?\r\n'));
  await service.issue('acme', token);
  const detail = async (name) => (await log(name))[0]?.detail;
  await until(async () => (await detail('endless')) === 'too_large', 'the endless answer is cut off');
  await until(async () => ['too_large', 'broken'].includes(await detail('headers')), 'so are endless headers');
  await until(async () => (await detail('nonsense')) === 'broken', 'nonsense is no answer');
  for (const name of ['endless', 'headers', 'nonsense']) await command('remove', name);
  for (const socket of sockets) { socket.destroy?.(); socket.close?.(); }
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
  for (const url of ['http://example.org/\r\nX-Injected: 1', 'http://example.org/ HTTP/1.1', 'http://', 'file:///etc/passwd', 'gopher://example.org/',
    'http://example.org/#x', 'http:\\\\example.org', `http://example.org/${'x'.repeat(2048)}`]) await fails('add', 'x', '--url', url);
  await fails('add', 'Upper', '--url', 'http://example.org/');
  await fails('remove', 'nobody');
  await fails('replay', 'nobody', '--from', '1', '--to', '2');
});

test('a private address is refused unless it is allowed', async () => {
  const strict = await Service.start();
  try {
    const own = await strict.tenant('acme');
    const receiver = await Receiver.start();
    const { port } = new URL(receiver.url);
    const hosts = ['127.0.0.1', 'localhost', '[::1]', '2130706433', '0x7f000001', '017700000001', '127.1', '0.0.0.0', '[::ffff:127.0.0.1]',
      '169.254.169.254', '[fe80::1]', '10.0.0.1'];
    for (const [i, host] of hosts.entries()) await strict.command('webhooks', 'add', `inside-${i}`, '--url', `http://${host}:${port}/in`, '--tenant', 'acme');
    await strict.issue('acme', own);
    for (const [i, host] of hosts.entries()) {
      await until(async () => {
        const { deliveries } = JSON.parse(await strict.command('webhooks', 'log', `inside-${i}`, '--tenant', 'acme', '--json'));
        return deliveries.some((entry) => ['address_forbidden', 'unresolved'].includes(entry.detail) && entry.state === 'retrying');
      }, `the log says why: ${host}`);
    }
    assert.equal(receiver.got.length, 0);
  } finally {
    await strict.destroy();
  }
});
