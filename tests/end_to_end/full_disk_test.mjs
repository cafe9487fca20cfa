// A disk that fills up while the service runs: 503, nothing acknowledged that is not stored, and it goes on by itself
// when there is room again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Service, roles, until } from './service.mjs';

test('a full disk is 503 store_full, and nothing acknowledged is lost', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-full-'));
  const data = path.join(folder, 'data');
  const full = path.join(folder, 'full');
  const wrapper = ['env', `LD_PRELOAD=${process.env.DIGITALCARD_FULL_DISK}`, `FULL_DISK_SWITCH=${full}`, `FULL_DISK_BELOW=${path.join(data, 'tenants')}`];
  const service = await Service.start({ data, wrapper });
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    let acknowledged = 0;
    const scan = async () => {
      const reply = await service.scan('acme', token, card.qr.text);
      if (reply.status === 200) acknowledged += 1;
      return reply;
    };
    for (let index = 0; index < 50; index += 1) assert.equal((await scan()).status, 200);
    writeFileSync(full, '');
    const refused = await until(async () => {
      const reply = await scan();
      return reply.status === 503 ? reply : null;
    }, 'the full disk is noticed');
    assert.equal(refused.body.code, 'store_full', `${refused.raw}`);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    const failures = async () => (await service.request('GET', '/metrics')).raw.toString().split('\n')
      .filter((line) => line.startsWith('digitalcard_journal_failures_total')).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    await until(async () => await failures() > 0, 'it is counted');
    assert.ok(service.log.includes('the disk is full: free space for the journal'));
    const issue = await service.request('POST', '/acme/api/v1/cards', { token, body: { member_id: 'never', expires_at: '2035-01-01T00:00:00Z' } });
    assert.equal(issue.status, 503, `${issue.raw}`);
    assert.equal((await service.request('GET', '/health/live')).status, 200);
    const ready = () => service.request('GET', '/health/ready');
    const away = await until(async () => { // and nobody asks for anything else meanwhile
      const reply = await ready();
      return reply.status === 503 ? reply : null;
    }, 'it is not ready', 20_000);
    assert.match(away.body.detail, /^shard-0: the disk of its store is full/);
    assert.match((await service.request('GET', '/metrics')).raw.toString(), /^digitalcard_store_full\S* 1$/m);
    assert.equal((await scan()).body.code, 'store_full');
    unlinkSync(full);
    await until(async () => (await ready()).status === 200, 'it is ready again, and nobody had to ask for anything', 30_000);
    await until(async () => (await scan()).status === 200, 'it goes on when there is room', 20_000);
    const history = [];
    for (let cursor = ''; cursor !== null;) {
      const page = (await service.request('GET', `/acme/api/v1/cards/${card.id}/history?limit=500${cursor}`, { token })).body;
      history.push(...page.items);
      cursor = page.next_cursor === null ? null : `&cursor=${encodeURIComponent(page.next_cursor)}`;
    }
    assert.deepEqual(history.map((item) => item.card_sequence).reverse(), history.map((_, index) => index + 1));
    assert.equal(history.filter((item) => item.name === 'CardValidated').length, acknowledged);
    const never = await service.request('GET', '/acme/api/v1/cards?member_id=never', { token });
    assert.equal(never.body.items.length, 0);
    await service.stop();
    await service.command('store', 'verify', '--tenant', 'acme');
  } finally {
    await service.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a limit of file sizes is 503 store_full and says so; raised, it goes on without a restart', async () => {
  const service = await Service.start();
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const scan = () => service.scan('acme', token, card.qr.text);
    assert.equal((await scan()).status, 200);
    const shards = Object.entries(roles(await service.tree())).filter(([name]) => name.startsWith('shard')).map(([, role]) => role.pid);
    const limit = (size) => { for (const pid of shards) execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${size}:unlimited`]); };
    limit(4096);
    const refused = await scan();
    assert.equal(refused.status, 503);
    assert.equal(refused.body.code, 'store_full', `${refused.raw}`);
    await until(() => service.log.includes('the journal file may not become larger: raise the limit of file sizes'), 'the log says so');
    limit('unlimited');
    await until(async () => (await scan()).status === 200, 'it goes on', 20_000);
    assert.deepEqual(Object.entries(roles(await service.tree())).filter(([name]) => name.startsWith('shard')).map(([, role]) => role.pid), shards);
  } finally {
    await service.destroy();
  }
});

test('a disk that stands still: 503 within the deadline, not ready, nobody is killed, and it comes back by itself', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-frozen-'));
  const data = path.join(folder, 'data');
  const frozen = path.join(folder, 'frozen');
  const wrapper = ['env', `LD_PRELOAD=${process.env.DIGITALCARD_FULL_DISK}`, `FROZEN_DISK_SWITCH=${frozen}`, `FULL_DISK_BELOW=${path.join(data, 'tenants')}`];
  const service = await Service.start({ data, wrapper });
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const scan = () => service.scan('acme', token, card.qr.text);
    const ready = () => service.request('GET', '/health/ready');
    assert.equal((await scan()).status, 200);
    const before = Object.values(roles(await service.tree())).map((role) => role.pid);
    writeFileSync(frozen, '');
    assert.equal((await scan()).status, 503); // it ends at its deadline
    const refused = await until(async () => {
      const reply = await ready();
      return reply.status === 503 ? reply : null;
    }, 'it is not ready', 15_000);
    assert.match(refused.body.detail, /^shard-0: its store does not answer/);
    assert.equal((await service.request('GET', '/health/live')).status, 200);
    unlinkSync(frozen);
    await until(async () => (await ready()).status === 200, 'it is ready again');
    await until(async () => (await scan()).status === 200, 'it goes on');
    assert.deepEqual(Object.values(roles(await service.tree())).map((role) => role.pid), before);
  } finally {
    rmSync(frozen, { force: true });
    await service.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
});
