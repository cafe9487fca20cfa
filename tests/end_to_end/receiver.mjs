// A receiver of webhooks, made of Node's own HTTP server, and what it may rely on.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { roles, until } from './service.mjs';

// Answers as `behave(event, attempt)` says: a status, or [status, headers], or null for silence.
export class Receiver {
  static async start(behave = () => 200) {
    const receiver = new Receiver();
    receiver.behave = behave;
    receiver.got = [];
    receiver.flying = 0;
    receiver.most = 0;
    receiver.server = createServer((request, response) => receiver.take(request, response));
    await new Promise((resolve) => receiver.server.listen(0, '127.0.0.1', resolve));
    Receiver.all.push(receiver);
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

  static all = [];
  accepted = [];
  static closeAll() { for (const { server } of Receiver.all) { server.closeAllConnections(); server.close(); } }
}

const signatureOf = (secret, at, body) => createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
export function verify(secret, { headers, body }) {
  const parts = headers['x-signature'].split(',').map((part) => part.split('='));
  const at = parts.find(([name]) => name === 't')[1];
  assert.ok(Math.abs(Date.now() / 1000 - Number(at)) < 60);
  return parts.filter(([name]) => name === 'v1').map(([, mac]) => mac).includes(signatureOf(secret, at, body));
}

export function assertInOrderPerCard(events) {
  const last = new Map();
  for (const event of events) {
    const before = last.get(event.card) ?? 0;
    assert.ok(event.card_sequence <= before + 1, `${event.card}: ${event.card_sequence} after ${before}`); // again is fine, ahead is not
    last.set(event.card, Math.max(before, event.card_sequence));
  }
}

// The relay is killed again and again while events are made; everything arrives, in order per card.
export async function surviveKills(service, token, add, lag) {
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
  const ids = new Set(cards.map((card) => card.id));
  const places = () => new Set(receiver.accepted.filter((event) => ids.has(event.card)).map((event) => `${event.partition}:${event.sequence}`));
  await until(() => places().size === cards.length * 2 + 12, 'everything arrives', 60_000);
  assertInOrderPerCard(receiver.accepted);
  await until(async () => await lag('killed') === 0, 'its cursor is at the head');
}

// A tenant is deleted and another one of its name made: neither sees anything of the other (DESIGN 5.5).
export async function namesakes(service) {
  const command = async (...args) => JSON.parse(await service.command('webhooks', ...args, '--tenant', 'again', '--json'));
  const old = await Receiver.start();
  const tokenOfOld = await service.tenant('again');
  const { secret } = await command('add', 'crm', '--url', old.url);
  await service.issue('again', tokenOfOld);
  await until(() => old.accepted.length === 2, 'the old one gets its events');
  await service.command('tenant', 'delete', 'again', '--yes');
  const token = await service.tenant('again');
  const fresh = await Receiver.start();
  assert.notEqual((await command('add', 'crm', '--url', fresh.url)).secret, secret);
  assert.deepEqual((await command('log', 'crm')).deliveries, []);
  const card = await service.issue('again', token);
  await until(() => fresh.accepted.length === 2, 'the new one gets its events');
  assert.deepEqual(fresh.accepted.map((event) => [event.card, event.sequence]), [[card.id, 1], [card.id, 2]]);
  assert.equal(old.got.length, 2);
  await until(async () => (await command('log', 'crm')).deliveries.length === 2, 'its own log');
}
