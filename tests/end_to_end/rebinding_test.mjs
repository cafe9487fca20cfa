// Receivers of webhooks whose names lead to addresses that are not public: names that change their address between one look
// and the next, aliases, mapped and unusual forms, redirects. What counts is the address that is connected to. The name
// server is real and the test's own; the preloaded tests/support/name_server.c sends the service there, and connections to
// 9.9.9.9 to a receiver of the test. The membership context may be anywhere, since its URL is the operator's; it may not
// send its callers elsewhere.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { after, before, test } from 'node:test';
import { Receiver } from './receiver.mjs';
import { Service, until } from './service.mjs';
import { breaker } from './membership_cases.mjs';

const PUBLIC = '9.9.9.9';
const names = new Map(); // name → list of answers, the last one for good; an answer is a list of records
const asked = new Map();
let server;
let open; // what is behind 9.9.9.9
let victim; // on loopback, which no webhook may reach
let service;
let token;

const nameOf = (text) => Buffer.concat([...text.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])), Buffer.from([0])]);

function readQuestion(packet) {
  const labels = [];
  let at = 12;
  while (packet[at] !== 0) {
    labels.push(packet.subarray(at + 1, at + 1 + packet[at]).toString());
    at += packet[at] + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 };
}

function record([name, type, data]) {
  const kind = { A: 1, CNAME: 5, AAAA: 28 }[type];
  const bytes = type === 'CNAME' ? nameOf(data) : Buffer.from(data);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(kind, 0);
  fixed.writeUInt16BE(1, 2); // its time to live is 0
  fixed.writeUInt16BE(bytes.length, 8);
  return Buffer.concat([nameOf(name), fixed, bytes]);
}

const four = (text) => text.split('.').map(Number);
const mapped = (text) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...four(text)];

function answer(packet) {
  const { name, type, end } = readQuestion(packet);
  const answers = names.get(name) ?? [[]];
  const turn = asked.get(name) ?? 0;
  if (type === 1) asked.set(name, turn + 1); // A and AAAA of one look are one turn
  const kinds = { 1: 'A', 28: 'AAAA' };
  const records = answers[Math.min(turn, answers.length - 1)].filter((one) => one[1] === 'CNAME' || one[1] === kinds[type]);
  const head = Buffer.from(packet.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat([head, packet.subarray(12, end), ...records.map(record)]);
}

before(async () => {
  server = dgram.createSocket('udp4');
  server.on('message', (packet, from) => server.send(answer(packet), from.port, from.address));
  await new Promise((resolve) => server.bind(0, '127.0.0.1', resolve));
  victim = await Receiver.start();
  open = await Receiver.start((event) => (event.name === 'CardSuspended' ? [302, { Location: victim.url, Connection: 'close' }] : [200, { Connection: 'close' }]));
  service = await Service.start({ wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_NAME_SERVER}`,
    `NAME_SERVER_PORT=${server.address().port}`, `PUBLIC_PORT=${open.server.address().port}`] });
  token = await service.tenant('acme');
});
after(async () => {
  Receiver.closeAll();
  await service?.destroy();
  server?.close();
});

const command = async (...args) => JSON.parse(await service.command('webhooks', ...args, '--tenant', 'acme', '--json'));
const log = async (name) => (await command('log', name, '--limit', '100')).deliveries;
const port = () => victim.server.address().port;

test('a name that leads to a public address first and to a private one then', async () => {
  names.set('moves.test', [[['moves.test', 'A', four(PUBLIC)]], [['moves.test', 'A', four('127.0.0.1')]]]);
  const second = await Receiver.start(); // another port: what libcurl remembers of the name for a minute is of one port
  await command('add', 'moves', '--url', `http://moves.test:${port()}/in`);
  const card = await service.issue('acme', token, { member_id: 'm-1' });
  await until(() => open.accepted.length === 2, 'the public address is used', 20_000);
  assert.deepEqual(open.accepted.map((event) => event.card), [card.id, card.id]);
  assert.equal(asked.get('moves.test'), 1);
  await command('add', 'moved', '--url', `http://moves.test:${second.server.address().port}/in`);
  await service.issue('acme', token, { member_id: 'm-1' });
  await until(async () => (await log('moved')).some((entry) => entry.detail === 'address_forbidden'), 'the private address is refused', 20_000);
  assert.equal(asked.get('moves.test'), 2, 'it was looked up again');
  assert.deepEqual([...victim.got, ...second.got], []);
  await command('remove', 'moves');
  await command('remove', 'moved');
});

test('aliases, mapped addresses, "this host", and unusual forms of an address', async () => {
  names.set('alias.test', [[['alias.test', 'CNAME', 'b.test'], ['b.test', 'CNAME', 'c.test'], ['c.test', 'A', four('127.0.0.1')]]]);
  names.set('mapped.test', [[['mapped.test', 'AAAA', mapped('127.0.0.1')]]]);
  names.set('loop6.test', [[['loop6.test', 'AAAA', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]]]);
  names.set('zero.test', [[['zero.test', 'A', four('0.0.0.0')]]]);
  names.set('cloud.test', [[['cloud.test', 'A', four('169.254.169.254')]]]);
  const hosts = ['alias.test', 'mapped.test', 'loop6.test', 'zero.test', 'cloud.test',
    '2130706433', '0177.0.0.1', '0x7f.1', '127.1', '0', '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', 'localhost'];
  const added = [];
  for (const [index, host] of hosts.entries()) {
    const outcome = await service.tryCommand('webhooks', 'add', `h-${index}`, '--url', `http://${host}:${port()}/in`, '--tenant', 'acme', '--data', service.data);
    if (outcome.status === 0) added.push(`h-${index}`); // else its form is refused when it is made
  }
  assert.ok(added.length >= 5, 'names are looked at when they are connected to');
  await service.issue('acme', token, { member_id: 'm-2' });
  for (const name of added) {
    await until(async () => (await log(name)).length > 0, `${name} was tried`, 20_000);
    const details = (await log(name)).map((entry) => entry.detail);
    if (name !== `h-${hosts.indexOf('localhost')}`) assert.ok(details.every((detail) => detail === 'address_forbidden'), `${hosts[Number(name.slice(2))]}: ${details}`);
    await command('remove', name);
  }
  assert.deepEqual(victim.got, []);
});

test('a receiver that sends elsewhere is not followed', async () => {
  names.set('sends.test', [[['sends.test', 'A', four(PUBLIC)]]]);
  await command('add', 'sends', '--url', `http://sends.test:${port()}/in`);
  const card = await service.issue('acme', token, { member_id: 'm-3' });
  await service.act('acme', token, card.id, 'suspend', { reason: 'lost' });
  await until(async () => (await log('sends')).some((entry) => entry.status === 302), 'the redirect is a failure', 20_000);
  assert.deepEqual(victim.got, []);
});

test('a membership context that sends its callers elsewhere is not followed, wherever its name leads', async (t) => {
  names.set('members.test', [[['members.test', 'CNAME', 'inside.test'], ['inside.test', 'A', four('127.0.0.1')]]]);
  const { createServer } = await import('node:http');
  let calls = 0;
  const context = createServer((request, response) => {
    calls += 1;
    response.writeHead(301, { Location: victim.url }).end();
  });
  await new Promise((resolve) => context.listen(0, '127.0.0.1', resolve));
  const other = await Service.start({ wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_NAME_SERVER}`, `NAME_SERVER_PORT=${server.address().port}`],
    arguments: ['--membership-url', `http://members.test:${context.address().port}`, '--breaker', 'failures=2 open_ms=60000 deadline_ms=1000 pause_ms=20'] });
  t.after(async () => { await other.destroy(); context.closeAllConnections(); context.close(); });
  const own = await other.tenant('acme');
  await other.issue('acme', own, { member_id: 'm-1' }); // by the policy: the context says nothing of use
  await until(async () => (await breaker(other)).state !== 'closed', 'redirects are failures', 20_000);
  assert.ok(calls > 0, 'its name leads inside, which the operator may want');
  assert.deepEqual(victim.got, []);
});
