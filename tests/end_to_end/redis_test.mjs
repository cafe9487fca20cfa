// Two nodes of one installation that share a Redis: limits and counts in common; and a Redis that dies under load costs nothing at the gate. The
// second node runs on a copy of the first one's data; live events, which need a journal in common, are two_nodes_test's affair.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import net from 'node:net';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import http from 'node:http';
import { Service, metricOf, until } from './service.mjs';
import { Redis } from './redis.mjs';

const PASSWORD = 'pass-that-nobody-may-see';
const LIMIT = 100;
let redis;
let copy;
const nodes = [];
let token;
let card;

before(async () => {
  redis = await Redis.start(PASSWORD);
  const first = await Service.start();
  token = await first.tenant('acme');
  await first.command('tenant', 'create', 'free');
  card = await first.issue('acme', token);
  await first.stop();
  copy = mkdtempSync(path.join(tmpdir(), 'dc-copy-'));
  cpSync(first.data, copy, { recursive: true });
  process.env.DIGITALCARD_REDIS = redis.url;
  first.extra = ['--rate-per-tenant', String(LIMIT)];
  await first.spawn();
  nodes.push(first, await Service.start({ data: copy, arguments: first.extra }));
  delete process.env.DIGITALCARD_REDIS;
  for (const node of nodes) await cacheIs(node, true);
});
after(async () => {
  for (const node of nodes) await node.destroy();
  rmSync(copy, { recursive: true, force: true });
  await redis.destroy();
});

async function metric(node, name) {
  const text = (await node.request('GET', '/metrics')).raw.toString();
  return text.split('\n').filter((line) => line.startsWith(name) && line.includes('role="front-0"'))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
}

function cacheIs(node, up) {
  return until(async () => (await metric(node, 'digitalcard_cache_up'))[0] === (up ? 1 : 0), `the cache is ${up ? 'up' : 'away'}`);
}

// Validates at both nodes, as fast as they answer, until it is told to end, and for `least` milliseconds. Nothing but verdicts and 429
// may come; whatever breaks a connection rejects. Gives how many came of each.
function drive(least = 0) {
  const began = Date.now();
  const seen = new Map();
  let isOver = false;
  const work = Promise.all(nodes.flatMap((node) => [1, 2].map(async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver || Date.now() - began < least) {
      const reply = await validate(node, agent);
      seen.set(reply.status, (seen.get(reply.status) ?? 0) + 1);
      if (reply.status === 429) {
        assert.equal(reply.body.code, 'rate_limited');
        assert.equal(reply.headers['retry-after'], '1');
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
    agent.destroy();
  })));
  work.catch(() => {}); // whoever ends it sees it
  return async () => {
    isOver = true;
    await work;
    // A crowded machine may never reach the limit.
    assert.ok(seen.get(200) > 0 && [...seen.keys()].every((status) => [200, 429].includes(status)), JSON.stringify([...seen]));
    return Object.fromEntries(seen);
  };
}

function validate(node, agent) {
  return node.request('POST', `/acme/mapi/v1/cards/${card.id}/validate`, { token, body: { gate: 'north' }, agent });
}

const second = () => Math.floor(Date.now() / 1000); // limits and counts are of one

async function nextSecond() {
  const before = second();
  await until(() => second() !== before, 'a second begins');
  return second();
}

// Both nodes together let through what one may: the second knows what the first did.
async function limitInOneWindow() {
  // The second node has seen this tenant a moment ago, so that it asks what the first lets through.
  await validate(nodes[1]);
  const start = await nextSecond();
  const send = (node, count) => Promise.all(Array.from({ length: count }, () => validate(node)));
  const first = await send(nodes[0], 60);
  assert.ok(first.every((reply) => reply.status === 200), 'below the limit');
  await until(() => Date.now() % 1000 > 400 || second() !== start, 'the others have been told');
  const others = await send(nodes[1], 60);
  const passed = others.filter((reply) => reply.status === 200).length;
  return second() === start ? passed : null;
}

// In a second that was long enough to see it, and in which the nodes were not so late that they had not told each other.
const limitHolds = () => until(async () => await limitInOneWindow() === LIMIT - 60, 'the limit holds for both together');

const allListen = () => until(async () => (await redis.ask('CLIENT LIST TYPE pubsub')).split('psub=1').length === 5, 'both relays and fronts listen');

test('a request that both nodes count is refused when both together reach the limit', () => limitHolds());

// What each node shows of the validations of all nodes in one second, for a second in which both made some; and what they were.
async function countsOfOneWindow() {
  const counts = [7, 12];
  const start = await nextSecond();
  // The one that is first has told of its own before the other begins.
  for (const [index, node] of nodes.entries()) {
    for (let i = 0; i < counts[index]; i += 1) assert.equal((await validate(node)).status, 200);
    if (index === 0) await until(() => Date.now() % 1000 > 400 || second() !== start, 'it has told');
  }
  if (second() !== start) return null; // too slow to be of one second
  await until(() => Date.now() >= (start + 1) * 1000 + 700, 'the second is over, and shown');
  const shown = await Promise.all(nodes.map((node) => metricOf(node, 'digitalcard_live_per_second', 'what="validations"', 'scope="all"', 'role="front-0"')));
  return second() === start + 1 ? { shown, truth: counts[0] + counts[1] } : null;
}

test('Redis killed and restarted under load: no error at the gate, limits and counters in common again within 5 s', async (t) => {
  const end = drive(3_000);
  await until(async () => (await metric(nodes[0], 'digitalcard_live_per_second')).some((value) => value > 0), 'live counts');
  await redis.kill();
  for (const node of nodes) await cacheIs(node, false);
  await redis.run();
  const back = Date.now();
  for (const node of nodes) await cacheIs(node, true);
  const connected = Date.now() - back;
  const seen = await end(); // asserts that there was nothing but 200 and 429
  // How long it takes is printed: the promise is 5 s, and a test on a crowded machine only ends what hangs.
  await limitHolds();
  const limited = Date.now() - back;
  const { shown, truth } = await until(async () => {
    const counts = await countsOfOneWindow();
    return counts?.shown.every((value) => value === counts.truth) ? counts : null;
  }, 'both nodes show what both counted');
  assert.deepEqual(shown, [truth, truth]);
  await allListen(); // to live events, on connections of their own
  t.diagnostic(`at the gate meanwhile: ${JSON.stringify(seen)}; after Redis was back: connected ${connected} ms, the first right limit seen ${limited} ms`);
});

// Scans and issues while Redis is of no use; what is logged and counted; and all right again.
async function staysUseful(t, spoil, seen, mend) {
  const end = drive(4_000);
  await spoil();
  for (const node of nodes) await seen(node);
  for (const node of nodes) {
    const issued = await until(async () => {
      const reply = await node.request('POST', '/acme/api/v1/cards', { token, body: { member_id: 'm-late', expires_at: '2035-01-01T00:00:00Z' } });
      return reply.status === 429 ? null : reply; // the load takes all that the tenant may
    }, 'an issue has its turn');
    assert.equal(issued.status, 201, `${issued.raw}`);
  }
  await end();
  await mend();
  const back = Date.now();
  for (const node of nodes) await until(async () => (await validate(node), await metric(node, 'digitalcard_cache_up'))[0] === 1
    && (await metric(node, 'digitalcard_cache_refusing'))[0] === 0, 'all is right again');
  t.diagnostic(`all was right again after ${Date.now() - back} ms`);
  await limitHolds();
}
const logged = (node, text) => until(() => node.log.includes(text), `the log says: ${text}`);

test('Redis is full: the gate goes on, the log and a metric say so', (t) => staysUseful(
  t,
  () => redis.ask('CONFIG SET maxmemory 1'),
  async (node) => {
    await logged(node, 'it is full: raise maxmemory');
    await until(async () => (await metric(node, 'digitalcard_cache_refusing'))[0] === 1, 'it is shown');
  },
  () => redis.ask('CONFIG SET maxmemory 0')));

test('Redis has become a replica that only reads: the gate goes on, the log and a metric say so', (t) => staysUseful(
  t,
  () => redis.ask('REPLICAOF 127.0.0.1 1'),
  (node) => logged(node, 'it is a read-only replica'),
  () => redis.ask('REPLICAOF NO ONE')));

test('something else listens where Redis was: the gate goes on, the log and a metric say so', async (t) => {
  const sockets = new Set();
  const liar = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  });
  await staysUseful(
    t,
    async () => { await redis.kill(); await new Promise((resolve) => liar.listen(redis.port, '127.0.0.1', resolve)); },
    async (node) => {
      await cacheIs(node, false);
      await until(async () => (await node.request('GET', '/health/digitalcard')).raw.includes('not the protocol of Redis'), 'it is said');
      await logged(node, '"why":"it says what is not the protocol of Redis"');
    },
    async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => liar.close(resolve));
      await redis.run();
    });
});

test('the password stands in no log, answer, argument or status', async () => {
  for (const node of nodes) {
    assert.ok(!node.log.includes(PASSWORD));
    assert.ok(node.log.includes('Redis is away'));
    const detail = (await node.request('GET', '/health/digitalcard')).raw.toString();
    assert.ok(detail.includes('"kind":"redis"'), detail.slice(0, 500));
    assert.ok(!detail.includes(PASSWORD));
    assert.ok(!JSON.stringify(await node.tree()).includes(PASSWORD));
  }
  const shown = await nodes[0].tryCommand('serve', '--data', nodes[0].data, '--redis', `rediss://:${PASSWORD}@h`);
  assert.equal(shown.status, 2);
  assert.ok(!shown.stderr.includes(PASSWORD));
});
