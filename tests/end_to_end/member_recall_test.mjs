// What nodes remember together of members in Redis: a node that knows nothing of a member while the membership context cannot
// be asked relies on what another node heard, and says how old that is. Whatever becomes of Redis, the gate answers.
// The second node runs on a copy of the data of before anything was known, and its context is dead; its policy refuses whom
// it does not know, so that `valid` and an age can only come from Redis.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { QUICK, breaker, verdict } from './membership_cases.mjs';
import { Membership } from '../peers/membership.mjs';
import { Redis } from './redis.mjs';
import { Service, freePort, until } from './service.mjs';

const PASSWORD = 'pass-that-nobody-may-see';
const cards = {};
let redis;
let context;
let knows;
let asks;
let copy;
let token;

before(async () => {
  redis = await Redis.start(PASSWORD);
  context = await Membership.start({ events: 'tcp://127.0.0.1:*' });
  knows = await Service.start();
  token = await knows.tenant('acme');
  for (let i = 1; i <= 17; i += 1) cards[`m-${i}`] = await knows.issue('acme', token, { member_id: `m-${i}`, valid_from: '2020-01-01T00:00:00Z' });
  await knows.stop();
  copy = mkdtempSync(path.join(tmpdir(), 'dc-copy-'));
  cpSync(knows.data, copy, { recursive: true });
  process.env.DIGITALCARD_REDIS = redis.url;
  const common = ['--shards', '1', '--breaker', QUICK];
  knows.extra = [...common, '--membership-url', context.url, '--membership-events', context.events];
  await knows.spawn();
  const dead = `http://127.0.0.1:${await freePort()}`;
  asks = await Service.start({ data: copy, arguments: [...common, '--membership-url', dead, '--membership-policy', 'refuse'] });
  delete process.env.DIGITALCARD_REDIS;
  await cacheIs(asks, true);
  await cacheIs(knows, true);
  await verdict(asks, token, cards['m-16']); // opens the tenant, whose events are asked for then
  await until(async () => (await breaker(asks)).state !== 'closed', 'the context counts as away', 20_000);
});
after(async () => {
  await knows?.destroy();
  await asks?.destroy();
  await context?.stop();
  if (copy !== undefined) rmSync(copy, { recursive: true, force: true });
  await redis?.destroy();
});

async function metric(node, name) {
  const text = (await node.request('GET', '/metrics')).raw.toString();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes('role="shard-0"'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const cacheIs = (node, up) => until(async () => await metric(node, 'digitalcard_cache_up') === (up ? 1 : 0), `the cache is ${up ? 'up' : 'away'}`, 10_000);

const keys = async () => (await redis.ask('KEYS dc:*:{acme}:member:*')).split('\r\n').filter((line) => line.startsWith('dc:'));

// The first node hears of a member; gives the key under which the others find that.
async function learn(member, status = 'active') {
  context.member('acme', member, { status });
  const before = await keys();
  await verdict(knows, token, cards[member]); // nothing is known: it asks in the background
  await until(async () => (await verdict(knows, token, cards[member])).fallback === false, 'it is known', 10_000);
  return until(async () => (await keys()).find((key) => !before.includes(key)), 'it stands in Redis');
}

async function byPolicy(member) {
  const said = await verdict(asks, token, cards[member]);
  assert.equal(said.reason, 'member_inactive');
  assert.equal(said.fallback, true);
  assert.equal(said.fallback_age_s, undefined, 'nothing was relied on but the policy');
}

test('a node that knows nothing of a member relies on what another heard, and says how old that is', async () => {
  const key = await learn('m-1');
  const said = await verdict(asks, token, cards['m-1']);
  assert.equal(said.reason, 'valid');
  assert.equal(said.fallback, true);
  assert.ok(said.fallback_age_s >= 0 && said.fallback_age_s < 60, String(said.fallback_age_s));
  await byPolicy('m-2'); // of whom nobody knows
  await learn('m-3', 'suspended');
  const refused = await verdict(asks, token, cards['m-3']);
  assert.equal(refused.reason, 'member_inactive');
  assert.ok(refused.fallback_age_s >= 0, 'refused because of what was heard, not by the policy');
  // A card is issued on it too; where nothing is known the policy refuses.
  const issue = (member) => asks.request('POST', '/acme/api/v1/cards', { token, body: { member_id: member, expires_at: '2035-01-01T00:00:00Z' } });
  await learn('m-4');
  assert.equal((await issue('m-4')).status, 201);
  assert.equal((await issue('m-5')).body.code, 'membership_unavailable');
  // What stands in Redis tells no member, and ends by itself.
  const dump = key + await redis.ask(`GET ${key}`);
  assert.ok(!dump.includes('m-1'), dump);
  const left = Number((await redis.ask(`PTTL ${key}`)).split('\r\n')[0].slice(1));
  assert.ok(left > 0 && left <= 14_400_000, String(left));
});

test('an event takes the place of what was known; an answer of before it does not come back', async () => {
  const key = await learn('m-6');
  const old = (await redis.ask(`GET ${key}`)).split('\r\n')[1];
  context.happen('acme', 'suspend', 'm-6');
  await until(async () => (await verdict(knows, token, cards['m-6'])).reason === 'suspended', 'the event is applied', 10_000);
  const now = await until(async () => {
    const value = (await redis.ask(`GET ${key}`)).split('\r\n')[1];
    return value !== old ? value : null;
  }, 'what is remembered changes', 5_000);
  assert.ok(now.slice(0, 40) > old.slice(0, 40), 'of a newer version');
  const said = await verdict(asks, token, cards['m-6']);
  assert.equal(said.reason, 'member_inactive');
  assert.ok(said.fallback_age_s >= 0);
});

test('nonsense, what was written for another member, and what was made up are not believed', async () => {
  await redis.ask(`SET ${await learn('m-7')} nonsense`);
  await byPolicy('m-7');
  const other = await learn('m-8');
  await redis.ask(`COPY ${other} ${await learn('m-9')} REPLACE`);
  await byPolicy('m-9');
  const key = await learn('m-10', 'suspended');
  const value = (await redis.ask(`GET ${key}`)).split('\r\n')[1];
  await redis.ask(`SET ${key} "${value.slice(0, 40)}1${value.slice(41)}"`); // active, it says
  await byPolicy('m-10');
  const list = await learn('m-11');
  await redis.ask(`DEL ${list}`);
  await redis.ask(`RPUSH ${list} 1`);
  await byPolicy('m-11');
  context.happen('acme', 'suspend', 'm-11'); // what is none of ours gives way
  await until(async () => (await redis.ask(`TYPE ${list}`)).includes('string'), 'a value is there again', 10_000);
});

// Starts the second node again, and waits until its context counts as away.
async function asksAgain(minted, member) {
  await asks.stop();
  process.env.DIGITALCARD_REDIS = redis.url;
  await asks.spawn().finally(() => { delete process.env.DIGITALCARD_REDIS; });
  await cacheIs(asks, true);
  const by = await minted();
  await verdict(asks, by, cards[member]); // opens the tenant
  await until(async () => (await breaker(asks)).state !== 'closed', 'the context counts as away');
  return by;
}

test('a node whose clock is set back relies on nothing that was heard in its future', async () => {
  await learn('m-17');
  const back = path.join(copy, 'clock-back');
  const clock = { LD_PRELOAD: process.env.DIGITALCARD_CLOCK_BACK, CLOCK_BACK_SWITCH: back };
  writeFileSync(back, `${20 * 3600}\n`);
  asks.wrapper = ['env', ...Object.entries(clock).map(([name, value]) => `${name}=${value}`)];
  const early = await asksAgain(async () => { // a token is of the clock that it was made by
    Object.assign(process.env, clock);
    return asks.token('acme').finally(() => { for (const name of Object.keys(clock)) delete process.env[name]; });
  }, 'm-17');
  const said = await verdict(asks, early, cards['m-17']);
  assert.equal(said.reason, 'member_inactive', 'the policy decides');
  assert.equal(said.fallback_age_s, undefined, 'nobody can say how old it is');
  asks.wrapper = [];
  await asksAgain(async () => token, 'm-17');
  await until(async () => (await verdict(asks, token, cards['m-17'])).reason === 'valid', 'put right, it counts again');
});

test('a Redis that hangs keeps nobody waiting; one that is read-only or dead costs nothing; what it knows counts when it is back', async () => {
  await learn('m-12');
  await learn('m-13');
  const late = await metric(asks, 'digitalcard_member_recalls_late_total');
  redis.process.kill('SIGSTOP');
  try {
    await byPolicy('m-12');
    assert.equal(await metric(asks, 'digitalcard_member_recalls_late_total'), late + 1, 'who waited went on before the cache gave up');
    await byPolicy('m-14');
  } finally {
    redis.process.kill('SIGCONT');
  }
  await cacheIs(asks, true);
  await cacheIs(knows, true);
  // Nobody waits for a while after that, but it is asked beside the scan.
  const said = await until(async () => {
    const body = await verdict(asks, token, cards['m-13']);
    return body.reason === 'valid' ? body : null;
  }, 'what it knows counts again', 10_000);
  assert.ok(said.fallback_age_s >= 0);
  await redis.ask('REPLICAOF 127.0.0.1 1');
  context.member('acme', 'm-15', {});
  await until(async () => (await verdict(knows, token, cards['m-15'])).fallback === false, 'known, though nothing can be written', 10_000);
  await redis.kill();
  await cacheIs(asks, false);
  await byPolicy('m-15');
  assert.equal((await verdict(asks, token, cards['m-13'])).reason, 'valid', 'what was recalled before is not forgotten');
  assert.equal((await verdict(knows, token, cards['m-15'])).fallback, false);
});
