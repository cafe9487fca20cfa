// Consumers with a name: their cursors are kept, survive everything, and an endless row of kills loses and doubles nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Service, roles, until } from './service.mjs';
import { ApiClient } from './clients.mjs';

const CONSUMER = path.join(path.dirname(new URL(import.meta.url).pathname), 'consumer.mjs');
let service;
let token;
let directory;

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme');
  directory = mkdtempSync(path.join(tmpdir(), 'consumer-'));
});
after(async () => {
  await service.destroy();
  rmSync(directory, { recursive: true, force: true });
});

const post = (what, body, own = token) => service.request('POST', `/acme/api/v1/consumers${what}`, { token: own, body });
const listed = async (own = token) => (await service.request('GET', '/acme/api/v1/consumers', { token: own })).body;

test('a consumer registers, reads, acknowledges, goes on, and is removed, over HTTP and ROUTER alike', async () => {
  const card = await service.issue('acme', token);
  const head = async () => (await service.request('GET', '/acme/api/v1/events?after=9007199254740000', { token })).body.head;
  await until(async () => await head() >= 2, 'the relay has heard of both events');
  const registered = await post('', { name: 'crm' });
  assert.equal(registered.status, 200);
  assert.equal(registered.body.name, 'crm');
  assert.deepEqual(registered.body.cursors, [{ ...registered.body.cursors[0], sequence: 0, head: 2 }]);
  assert.equal(registered.body.lag, 2);
  const first = (await service.request('GET', '/acme/api/v1/events?consumer=crm&limit=1', { token })).body;
  assert.equal(first.items[0].sequence, 1);
  const acked = await post('/ack', { consumer: 'crm', sequence: 1 });
  assert.equal(acked.status, 200);
  assert.equal(acked.body.cursors[0].sequence, 1);
  const second = (await service.request('GET', '/acme/api/v1/events?consumer=crm&limit=1', { token })).body;
  assert.equal(second.items[0].sequence, 2);
  const api = new ApiClient(service.api, 'acme', token);
  assert.equal((await api.ask('events.ack', { consumer: 'crm', sequence: 2 })).type, 'events.ack.ok');
  assert.equal((await post('/ack', { consumer: 'crm', sequence: 1 })).body.cursors[0].sequence, 2); // never back
  await service.act('acme', token, card.id, 'suspend');
  const rest = (await api.ask('events.read', { consumer: 'crm' })).body;
  assert.equal(rest.items[0].sequence, 3);
  const line = JSON.parse((await service.command('events', 'consumers', '--tenant', 'acme')).split('\n')[0]);
  assert.equal(line.name, 'crm');
  assert.equal(line.lag, rest.head - 2);
  const auditor = await service.token('acme', 'auditor');
  assert.equal((await listed(auditor)).items.length, 1);
  assert.equal((await post('/ack', { consumer: 'crm', sequence: 2 }, auditor)).status, 403);
  api.close();
  assert.equal((await post('/remove', { name: 'crm' })).status, 200);
  assert.equal((await listed()).items.length, 0);
});

test('each consumer has a metric of its own, under a pseudonym that its tenant is told, while it is there', async () => {
  const metrics = async () => (await service.request('GET', '/metrics')).raw.toString();
  const lag = async (series) => (await metrics()).match(new RegExp(`^digitalcard_consumer_own_lag_events\\{role="relay",consumer="${series}"\\} (\\d+)$`, 'm'))?.[1];
  const series = {};
  for (const name of ['crm-a', 'crm-b']) series[name] = (await post('', { name })).body.series;
  assert.match(series['crm-a'], /^[0-9a-f]{16}$/);
  assert.notEqual(series['crm-a'], series['crm-b']);
  const { head } = (await listed()).items[0].cursors[0];
  await post('/ack', { consumer: 'crm-b', sequence: head });
  await until(async () => await lag(series['crm-a']) === String(head) && await lag(series['crm-b']) === '0', 'both are counted');
  const line = (await service.command('events', 'consumers', '--tenant', 'acme')).split('\n').filter(Boolean).map((text) => JSON.parse(text)).find((item) => item.name === 'crm-a');
  assert.equal(line.series, series['crm-a']);
  assert.doesNotMatch(await metrics(), /acme|crm-/); // whoever reaches the port reads this page
  await post('/remove', { name: 'crm-a' });
  await until(async () => await lag(series['crm-a']) === undefined && await lag(series['crm-b']) === '0', 'the series goes with its consumer');
  await post('/remove', { name: 'crm-b' });
});

test('what cannot be is refused exactly', async () => {
  const code = async (reply) => { const { status, body } = await reply; return `${status} ${body.code}`; };
  assert.equal(await code(post('/ack', { consumer: 'nobody', sequence: 1 })), '404 consumer_not_found');
  assert.equal(await code(service.request('GET', '/acme/api/v1/events?consumer=nobody', { token })), '404 consumer_not_found');
  assert.equal(await code(post('', { name: 'Upper Case' })), '400 invalid_body');
  assert.equal(await code(post('', { name: '../x' })), '400 invalid_body');
  assert.equal(await code(post('', {})), '400 invalid_body');
  await post('', { name: 'app' });
  assert.equal(await code(post('/ack', { consumer: 'app', sequence: 1_000_000 })), '400 invalid_parameter');
  assert.equal(await code(post('/ack', { consumer: 'app', sequence: 1, partition: 9 })), '400 invalid_parameter');
  for (let i = 1; i < 32; i++) assert.equal((await post('', { name: `app-${i}` })).status, 200);
  assert.equal(await code(post('', { name: 'one-more' })), '409 too_many_consumers');
  assert.equal((await post('', { name: 'app' })).status, 200);
  for (const { name } of (await listed()).items) await post('/remove', { name });
});

test('a subscriber killed and restarted at random has every event exactly once after its repair', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (below) => { state = (state * 1103515245 + 12345) % 2147483648; return state % below; };
  const file = path.join(directory, 'events.jsonl');
  const card = await service.issue('acme', token);
  let isOver = false;
  const producing = (async () => {
    while (!isOver) {
      await Promise.all([1, 2, 3, 4].map(() => service.request('POST', `/acme/mapi/v1/cards/${card.id}/validate`, { token, body: { gate: 'north' } })));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  const start = () => {
    const child = spawn(process.execPath, [CONSUMER, service.events, service.api, 'acme', token, 'killed', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => { said += text; });
    child.gone = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal, said })));
    return child;
  };
  const lines = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []);
  for (let kill = 0; kill < 10; kill++) {
    const child = start();
    const before = lines().length;
    if (kill % 3 === 0) await until(() => lines().length > before, 'it reads', 20_000);
    await new Promise((resolve) => setTimeout(resolve, random(400)));
    if (kill === 5) process.kill(roles(await service.tree()).relay.pid, 'SIGKILL'); // the cursors are not the relay's memory
    child.kill('SIGKILL');
    const how = await child.gone;
    assert.equal(how.signal, 'SIGKILL', how.said);
  }
  isOver = true;
  await producing;
  const last = start();
  const head = async () => (await service.request('GET', '/acme/api/v1/events?after=9007199254740000', { token })).body.head;
  await until(async () => lines().length === await head(), 'everything is there', 30_000);
  const kept = lines();
  assert.deepEqual(kept.map((event) => event.sequence), kept.map((_, index) => index + 1));
  assert.equal(new Set(kept.map((event) => event.event_id)).size, kept.length);
  await until(async () => (await listed()).items.find((item) => item.name === 'killed')?.lag === 0, 'its cursor is at the head', 10_000);
  await until(async () => (await service.request('GET', '/metrics')).raw.toString().match(/digitalcard_consumers\{role="relay"\} 1\n/) !== null, 'the metric', 10_000);
  last.kill('SIGKILL');
  await last.gone;
});
