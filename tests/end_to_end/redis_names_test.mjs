// The host name of Redis, or of its Sentinel, that cannot be looked up: looking hangs, or there is no name system at all
// (tests/support/names.c stands in for it). The gate answers, no role stands still, the service ends when it is told to, and
// Redis is used as soon as its name is known.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { Redis } from './redis.mjs';
import { Service, metricOf, roles, until } from './service.mjs';

const PASSWORD = 'pass-of-a-test';

async function startNamed(t, says, redisUrl) {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-names-'));
  const say = (word) => writeFileSync(path.join(folder, 'says'), `${word}\n`);
  say(says);
  process.env.DIGITALCARD_REDIS = redisUrl;
  const service = await Service.start({ wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_NAMES}`, `NAMES_SWITCH=${folder}/says`], arguments: ['--shards', '1'] })
    .finally(() => { delete process.env.DIGITALCARD_REDIS; });
  t.after(async () => { say('good'); await service.destroy(); rmSync(folder, { recursive: true, force: true }); });
  const token = await service.tenant('acme');
  const card = await service.issue('acme', token);
  return { service, token, card, say };
}

const isUp = (service) => metricOf(service, 'digitalcard_cache_up', 'role="front-0"');
const pids = async (service) => Object.entries(roles(await service.tree())).map(([name, role]) => `${name} ${role.pid}`).sort();

// Every role does its part meanwhile, and none had to be started anew for it.
async function gateAnswers({ service, token, card }, times = 50) {
  for (let i = 0; i < times; i += 1) assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  assert.equal((await service.request('POST', '/acme/api/v1/cards', { token, body: { member_id: 'm-2', expires_at: '2035-01-01T00:00:00Z' } })).status, 201);
  await until(async () => (await service.request('GET', '/acme/api/v1/cards?limit=10', { token })).body.items?.length > 0, 'the relay answers', 10_000);
  assert.equal((await service.request('GET', '/health/ready')).status, 200);
}

test('the name of Redis hangs, is known, hangs again and is gone: the gate goes on, and Redis is used whenever it can be', async (t) => {
  const redis = await Redis.start(PASSWORD);
  t.after(() => redis.destroy());
  const started = await startNamed(t, 'hang', redis.url.replace('127.0.0.1', 'redis.test'));
  const { service, say } = started;
  const before = await pids(service);
  await until(() => service.log.includes('its name cannot be looked up'), 'the log says why', 20_000);
  await gateAnswers(started);
  assert.equal(await isUp(service), 0);
  say('good');
  await until(async () => await isUp(service) === 1, 'Redis is used once its name is known', 20_000);
  for (const word of ['hang', 'gone']) { // what was found last counts
    say(word);
    await redis.kill();
    await until(async () => await isUp(service) === 0, 'Redis is away', 20_000);
    await gateAnswers(started);
    await redis.run();
    await until(async () => await isUp(service) === 1, `Redis is used again although its name is ${word}`, 20_000);
  }
  assert.deepEqual(await pids(service), before, 'nobody had to restart a role');
});

for (const kind of ['redis', 'redis-sentinel']) {
  test(`the name in ${kind}:// hangs all the while: the gate goes on, and the service ends when it is told to`, async (t) => {
    const started = await startNamed(t, 'hang', `${kind}://redis.test:26379${kind === 'redis' ? '' : '/main'}`);
    const { service } = started;
    await until(() => service.log.includes('its name cannot be looked up'), 'the log says why', 20_000);
    await gateAnswers(started);
    await service.stop(); // the look-ups hang for minutes
    assert.ok(!service.log.includes('"signal":9') && !/did not end|was killed/.test(service.log), 'no role had to be ended by force');
  });
}
