// Two services on one PostgreSQL and one Redis, as far as that goes today (docs/decisions/0013): both serve every tenant, and
// whoever decides something takes the tenant from the other. Nothing is lost and nothing happens twice; it is slow when both
// decide for one tenant in turn. Events reach the subscribers of both at once.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { EventFollower } from './clients.mjs';
import { Postgres } from './postgres.mjs';
import { Receiver } from './receiver.mjs';
import { Redis } from './redis.mjs';
import { Service, roles, until } from './service.mjs';

const PASSWORD = 'pass-that-nobody-may-see';
const nodes = [];
let postgres;
let redis;
let folder;
let token;

before(async () => {
  postgres = await Postgres.start();
  redis = await Redis.start(PASSWORD);
  process.env.DIGITALCARD_STORE = postgres.url;
  process.env.DIGITALCARD_REDIS = redis.url;
  nodes.push(await Service.start({ arguments: ['--webhooks-private', 'allow'] }));
  folder = mkdtempSync(path.join(tmpdir(), 'dc-second-'));
  copyFileSync(path.join(nodes[0].data, 'master.key'), path.join(folder, 'master.key')); // one installation, one key
  nodes.push(await Service.start({ data: folder, arguments: ['--webhooks-private', 'allow'] }));
  token = await nodes[0].tenant('acme', '--partitions', '2');
});
after(async () => {
  Receiver.closeAll();
  for (const node of nodes) await node.destroy();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  await redis?.destroy();
  await postgres?.destroy();
});

// Until it is decided: whoever lost the tenant says 503 and takes it back.
async function decide(node, target, body, key) {
  return until(async () => {
    const reply = await node.request('POST', target, { token, body, headers: { 'Idempotency-Key': key } }).catch(() => null);
    return reply !== null && reply.status !== 503 && reply.status !== 409 ? reply : null;
  }, `${target} is decided`, 20_000);
}

test('what one node does, the subscribers of the other hear at once, and each node reads what the other wrote', async (t) => {
  const follower = new EventFollower(nodes[1].events, 'acme');
  t.after(() => follower.close());
  await follower.ready();
  await until(async () => (await redis.ask('CLIENT LIST TYPE pubsub')).split('psub=1').length === 5, 'both relays and fronts listen');
  const card = (await decide(nodes[0], '/acme/api/v1/cards', { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true }, 'first')).body;
  // By itself: what Redis lost, as on a machine too slow to answer it, the relay finds in the journal within its next round.
  await until(() => follower.events.some((event) => event.header.name === 'CardActivated'), 'the events of the other node');
  const shown = await until(async () => {
    const reply = await nodes[1].request('GET', `/acme/api/v1/cards/${card.id}`, { token });
    return reply.status === 200 ? reply.body : null;
  }, 'the second node reads the card', 10_000);
  assert.equal(shown.status, 'active');
});

test('with Redis killed, stopped, or its connections cut, subscribers of the other node still hear the last event of each partition, once', async (t) => {
  const follower = new EventFollower(nodes[1].events, 'acme');
  const only = new EventFollower(nodes[1].events, 'acme', { topic: 'CardValidated' }); // gets no heads, so it could not repair
  t.after(() => { follower.close(); only.close(); });
  await follower.ready();
  await until(async () => /^digitalcard_relay_subscriptions\{[^}]*\} 2$/m.test((await nodes[1].request('GET', '/metrics')).raw.toString()), 'both are heard');
  const consumers = async (node) => (await node.request('GET', '/acme/api/v1/consumers', { token })).body.items;
  await until(async () => (await nodes[1].request('POST', '/acme/api/v1/consumers', { token, body: { name: 'crm' } })).status === 200, 'registered');
  const cards = [];
  for (let i = 0; i < 4; i += 1) {
    cards.push((await decide(nodes[0], '/acme/api/v1/cards', { member_id: `r-${i}`, expires_at: '2035-01-01T00:00:00Z', activate: true }, `r-${i}`)).body.id);
  }
  let steps = 0;
  const scan = async () => {
    steps += 1;
    const before = only.events.length;
    for (const card of cards) await decide(nodes[0], `/acme/mapi/v1/cards/${card}/validate`, { gate: 'north' }, `r-${steps}-${card}`);
    await until(() => only.events.length === before + cards.length, `step ${steps}: all arrive, and none follows`);
    const heads = new Map();
    for (const partition of [0, 1]) {
      const page = await nodes[1].request('GET', `/acme/api/v1/events?partition=${partition}&limit=1`, { token });
      heads.set(partition, page.body.head);
      // Whoever read them at this node may acknowledge them here.
      const acked = await nodes[1].request('POST', '/acme/api/v1/consumers/ack', { token, body: { consumer: 'crm', partition, sequence: page.body.head } });
      assert.equal(acked.status, 200, String(acked.raw));
    }
    await until(() => [0, 1].every((partition) => follower.heads.get(partition) === heads.get(partition)), `step ${steps}: its heads are right`);
    for (const node of nodes) assert.equal((await consumers(node)).find((item) => item.name === 'crm').lag, 0);
  };
  await scan();
  await redis.ask('CLIENT KILL TYPE pubsub');
  await scan();
  redis.process.kill('SIGSTOP');
  await scan();
  redis.process.kill('SIGCONT'); // what it took meanwhile comes late, and a second time
  await scan();
  await redis.kill();
  await scan();
  await redis.run();
  await scan();
  for (const listener of [follower, only]) assert.equal(listener.doubled, 0);
  const sequences = (partition) => follower.events.filter(({ header }) => header.partition === partition).map(({ header }) => header.sequence);
  for (const partition of [0, 1]) assert.deepEqual(sequences(partition), sequences(partition).map((_, index) => sequences(partition)[0] + index));
  // Acknowledged at one node, committed at the other: both count the same.
  const lag = async (node) => (await node.request('GET', '/metrics')).raw.toString().match(/^digitalcard_consumer_lag_events\{[^}]*of="all"\} (\d+)$/m)[1];
  await until(async () => await lag(nodes[0]) === '0' && await lag(nodes[1]) === '0', 'both count no lag');
});

test('both decide for the same cards in turn: each command once, no gap, and no card open after its revocation', async () => {
  const issue = (index) => decide(nodes[index % 2], '/acme/api/v1/cards', { member_id: `m-${index}`, expires_at: '2035-01-01T00:00:00Z', activate: true }, `issue-${index}`);
  const cards = [];
  for (let i = 0; i < 3; i += 1) cards.push((await issue(i)).body);
  const commands = [];
  for (let i = 0; i < 18; i += 1) commands.push({ card: cards[i % 3], key: `scan-${i}`, node: nodes[i % 2] });
  for (let i = 0; i < commands.length; i += 6) {
    await Promise.all(commands.slice(i, i + 6).map(async ({ card, key, node }) => {
      const reply = await decide(node, `/acme/mapi/v1/cards/${card.id}/validate`, { gate: 'north' }, key);
      assert.equal(reply.body.reason, 'valid', String(reply.raw));
    }));
  }
  // A repeat at the other node gets the first answer.
  for (const { card, key, node } of commands.slice(0, 4)) {
    const other = nodes.find((each) => each !== node);
    const target = `/acme/mapi/v1/cards/${card.id}/validate`;
    assert.deepEqual((await decide(other, target, { gate: 'north' }, key)).body, (await decide(node, target, { gate: 'north' }, key)).body);
  }
  await decide(nodes[0], `/acme/api/v1/cards/${cards[0].id}/revoke`, { reason: 'lost' }, 'revoke');
  assert.equal((await decide(nodes[1], `/acme/mapi/v1/cards/${cards[0].id}/validate`, { gate: 'north' }, 'late')).body.reason, 'revoked');
  for (const [index, card] of cards.entries()) {
    const history = await until(async () => {
      const reply = await nodes[index % 2].request('GET', `/acme/api/v1/cards/${card.id}/history?limit=100`, { token });
      return reply.status === 200 ? reply.body.items : null;
    }, 'the history', 10_000);
    assert.equal(history.filter((item) => item.name === 'CardValidated').length, 6);
    assert.deepEqual(history.map((item) => item.card_sequence), history.map((_, i) => history.length - i));
  }
});

test('one of both sends the webhooks, each event once; when it is killed the other one goes on', async () => {
  const sends = async (node) => /^digitalcard_webhooks_sending\{[^}]*\} 1$/m.test((await node.request('GET', '/metrics')).raw.toString());
  const sender = async () => {
    const said = await Promise.all(nodes.map(sends));
    return said.filter(Boolean).length === 1 ? nodes[said.indexOf(true)] : null;
  };
  const receiver = await Receiver.start(() => new Promise((resolve) => setTimeout(() => resolve(200), 5)));
  await nodes[0].command('webhooks', 'add', 'crm', '--url', receiver.url, '--tenant', 'acme', '--json');
  const first = await until(sender, 'one of them sends', 20_000);
  const second = nodes.find((node) => node !== first);
  const issue = (node, index) => decide(node, '/acme/api/v1/cards', { member_id: `w-${index}`, expires_at: '2035-01-01T00:00:00Z', activate: true }, `hook-${index}`);
  const cards = [];
  for (let i = 0; i < 8; i += 1) cards.push((await issue(nodes[i % 2], i)).body.id); // both make events
  const of = (list) => receiver.accepted.filter((event) => list.includes(event.card)).map((event) => `${event.partition}:${event.sequence}`);
  await until(() => new Set(of(cards)).size === 16, 'every event arrives', 30_000);
  assert.equal(receiver.got.length, 16, 'and each once');
  const stored = async () => JSON.parse(await second.command('webhooks', 'log', 'crm', '--limit', '100', '--tenant', 'acme', '--json'))
    .deliveries.filter((entry) => entry.state === 'delivered').length;
  await until(async () => await stored() === 16, 'what was delivered is stored', 10_000);
  const { pid } = roles(await first.tree()).relay;
  first.process.kill('SIGKILL');
  process.kill(pid, 'SIGKILL'); // it gives nothing back: its claim has to end
  await first.exited;
  nodes.splice(nodes.indexOf(first), 1);
  const later = [];
  for (let i = 8; i < 12; i += 1) later.push((await issue(second, i)).body.id);
  await until(() => new Set(of(later)).size === 8, 'the other one sends what is new', 40_000);
  assert.equal(receiver.got.length, 24, 'and nothing again, since all was stored');
  await first.destroy();
});
