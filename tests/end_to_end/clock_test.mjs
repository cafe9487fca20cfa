// The clock of the machine set back by most of a day and put right again, on each store: nothing acknowledged is lost, no
// sequence breaks, repeats are answered as before, and the log and a metric tell.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { QUICK, breaker, issue as issueFor } from './membership_cases.mjs';
import { Service, metricOf, until } from './service.mjs';
import { Membership } from '../peers/membership.mjs';

const HOURS_BACK = 20; // below the age of replies, of which some are written meanwhile

async function journey(options) {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-clock-'));
  const back = path.join(folder, 'back');
  const wrapper = ['env', `LD_PRELOAD=${process.env.DIGITALCARD_CLOCK_BACK}`, `CLOCK_BACK_SWITCH=${back}`];
  const service = await Service.start({ ...options, wrapper });
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token, { valid_from: '2020-01-01T00:00:00Z' });
    const replies = [];
    const scan = async (key, at = card) => {
      const reply = await service.request('POST', `/acme/mapi/v1/cards/${at.id}/validate`,
        { token, body: { gate: 'north' }, headers: { 'Idempotency-Key': key } });
      assert.equal(reply.status, 200, String(reply.raw));
      assert.equal(reply.body.reason, 'valid', String(reply.raw));
      return String(reply.raw);
    };
    const kept = async () => { for (const [key, raw] of replies) assert.equal(await scan(key), raw, 'the first answer, byte for byte'); };
    for (const key of ['a', 'b']) replies.push([key, await scan(key)]);
    writeFileSync(back, `${HOURS_BACK * 3600}\n`);
    await until(async () => /the clock was set back/.test(service.log) && await metricOf(service, 'digitalcard_clock_set_back_total') > 0, 'the log and a metric tell', 60_000)
      .catch((error) => { throw new Error(`${error.message}\n${service.log.slice(-4000)}`); });
    for (const key of ['c', 'd']) replies.push([key, await scan(key)]);
    await kept();
    unlinkSync(back);
    for (const key of ['e', 'f']) replies.push([key, await scan(key)]);
    await kept();
    const metrics = (await service.request('GET', '/metrics')).raw.toString();
    assert.match(metrics, /digitalcard_clock_set_back_total(\{[^}]*\})? [1-9]/);
    await service.stop();
    await service.spawn();
    const history = await until(async () => {
      const reply = await service.request('GET', `/acme/api/v1/cards/${card.id}/history?limit=100`, { token });
      return reply.status === 200 ? reply.body.items : null;
    }, 'the history is read after a restart', 20_000);
    assert.deepEqual(history.map((item) => item.card_sequence).reverse(), history.map((_, index) => index + 1));
    assert.equal(history.filter((item) => item.name === 'CardValidated').length, replies.length);
    const verified = JSON.parse(await service.command('store', 'verify', '--json'));
    assert.equal(verified.sound, true, JSON.stringify(verified));
  } finally {
    await service.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a clock that is set back makes what is known of a member no younger', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-clock-'));
  const back = path.join(folder, 'back');
  const context = await Membership.start();
  const service = await Service.start({
    wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_CLOCK_BACK}`, `CLOCK_BACK_SWITCH=${back}`],
    arguments: ['--shards', '1', '--membership-url', context.url, '--membership-policy', 'refuse', '--membership-stale-s', '2', '--breaker', QUICK],
  });
  t.after(async () => { await service.destroy(); await context.stop(); rmSync(folder, { recursive: true, force: true }); });
  const token = await service.tenant('acme');
  context.member('acme', 'm-1');
  const card = await service.issue('acme', token, { member_id: 'm-1', valid_from: '2020-01-01T00:00:00Z' });
  const verdict = async () => (await service.scan('acme', token, card.qr.text)).body;
  await context.die();
  await until(async () => (await verdict()).reason === 'member_inactive', 'what is known is stale', 20_000);
  writeFileSync(back, `${HOURS_BACK * 3600}\n`);
  await until(() => /the clock was set back/.test(service.log), 'the log tells', 20_000);
  const seen = await verdict();
  assert.equal(seen.reason, 'member_inactive');
  assert.ok(seen.fallback_age_s >= 2, `${seen.fallback_age_s}`);
});

// What is stored was written in the future then: nobody can say how old it is, and sequences, not clocks, order events.
test('a restart on a clock that was set back behind what is stored: no knowledge counts as new, events and breaker go on as ever', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-clock-'));
  const back = path.join(folder, 'back');
  const clock = { LD_PRELOAD: process.env.DIGITALCARD_CLOCK_BACK, CLOCK_BACK_SWITCH: back };
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*' });
  const service = await Service.start({ wrapper: ['env', ...Object.entries(clock).map(([name, value]) => `${name}=${value}`)],
    arguments: ['--shards', '1', '--membership-url', context.url, '--membership-events', context.events, '--membership-policy', 'refuse', '--breaker', QUICK] });
  t.after(async () => { await service.destroy(); await context.stop(); rmSync(folder, { recursive: true, force: true }); });
  let token = await service.tenant('acme');
  // A token is of the clock that it was made by.
  const restart = async () => {
    await service.stop();
    await service.spawn();
    Object.assign(process.env, clock);
    token = await service.token('acme', 'tenant_admin', '--ttl', '3600').finally(() => { for (const name of Object.keys(clock)) delete process.env[name]; });
  };
  const issue = (member) => issueFor(service, token, context, member, { valid_from: '2020-01-01T00:00:00Z' });
  const scan = async (card) => {
    const reply = await service.scan('acme', token, card.qr.text);
    assert.equal(reply.status, 200, String(reply.raw));
    return reply.body;
  };
  const away = async () => {
    await scan(one); // opens the tenant
    await until(async () => (await breaker(service)).state !== 'closed', 'the breaker opens');
    await until(async () => (await scan(one)).fallback, 'the shard knows');
  };
  const becomes = (card, reason) => until(async () => (await scan(card)).reason === reason, `it is ${reason}`);
  const [one, two, three] = [await issue('m-1'), await issue('m-2'), await issue('m-3')];
  const suspended = context.happen('acme', 'suspend', 'm-2');
  await becomes(two, 'suspended');
  assert.equal((await scan(one)).fallback, false);

  writeFileSync(back, `${HOURS_BACK * 3600}\n`);
  await context.die();
  await restart();
  await away();
  const seen = await scan(one);
  assert.equal(seen.reason, 'member_inactive', 'what was learned in the future is not relied on: the policy refuses');
  assert.equal(seen.fallback_age_s, undefined, 'nobody can say how old it is');
  assert.equal((await scan(two)).reason, 'suspended', 'what ended stays ended');
  assert.equal((await service.request('POST', '/acme/api/v1/cards', { token, body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z' } })).body.code,
    'membership_unavailable');

  // The breaker counts by the clock that nobody sets: it closes by itself.
  await context.returnToLife();
  await until(async () => (await breaker(service)).state === 'closed', 'the breaker closes', 60_000);
  await becomes(one, 'valid');
  assert.equal((await scan(one)).fallback, false);

  // The inbox goes by sequence: what comes again does nothing, what is new does its work, whatever the clocks say.
  const late = await issue('m-3'); // issued before the cancellation, and long before by the clock of the service
  context.publish(suspended);
  context.happen('acme', 'reinstate', 'm-2');
  context.publish(suspended);
  await becomes(two, 'valid');
  context.happen('acme', 'cancel', 'm-3');
  for (const card of [three, late]) await becomes(card, 'revoked');
  context.happen('acme', 'suspend', 'm-1');
  await becomes(one, 'suspended');
  context.publish(suspended);
  context.happen('acme', 'reinstate', 'm-1');
  await becomes(one, 'valid');
  assert.equal((await scan(two)).reason, 'valid', 'an event that came a third time did nothing');

  // Put right: what was learned meanwhile looks older than it is, never younger.
  unlinkSync(back);
  await context.die();
  await restart();
  await away();
  const right = await scan(one);
  assert.equal(right.reason, 'member_inactive');
  assert.ok(right.fallback_age_s >= HOURS_BACK * 3600, `${right.fallback_age_s}`);
  for (const card of [three, late]) assert.equal((await scan(card)).reason, 'revoked');
});

test('a clock that is set back, on SQLite', () => journey({}));

test('a clock that is set back, on PostgreSQL', async () => {
  const postgres = await Postgres.start();
  const before = process.env.DIGITALCARD_STORE;
  process.env.DIGITALCARD_STORE = postgres.url;
  try {
    await journey({});
  } finally {
    if (before === undefined) delete process.env.DIGITALCARD_STORE; else process.env.DIGITALCARD_STORE = before;
    await postgres.destroy();
  }
});
