// The clock of the machine set back by most of a day and put right again, on each store: nothing acknowledged is lost, no
// sequence breaks, repeats are answered as before, and the log and a metric tell.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { QUICK } from './membership_cases.mjs';
import { Service, until } from './service.mjs';
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
    await until(() => /the clock was set back/.test(service.log), 'the log tells', 20_000);
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
