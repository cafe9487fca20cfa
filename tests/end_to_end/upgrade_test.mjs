// A rolling restart onto a new binary (SIGHUP) and the end of the service (SIGTERM), both under load over kept HTTP
// connections and pipelined ROUTER sockets. No request may fail through the upgrades; whatever was acknowledged
// before the end is in the history.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ApiClient } from './clients.mjs';
import { BINARY, Service, until } from './service.mjs';

const WORKERS = 16; // by each protocol
const UPGRADES = 3;
const DRAIN_MS = 10_000; // LIMIT_DRAIN_MS
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Puts a new file where the program was, as a package manager does: the old one stays with whoever runs it.
function install(program) {
  copyFileSync(BINARY, `${program}.new`);
  chmodSync(`${program}.new`, 0o755);
  renameSync(`${program}.new`, program);
  return statSync(program).ino;
}

async function readHistory(service, token, id) {
  const items = [];
  for (let cursor; ;) {
    const reply = await service.request('GET', `/acme/api/v1/cards/${id}/history?limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { token });
    assert.equal(reply.status, 200);
    items.push(...reply.body.items);
    cursor = reply.body.next_cursor;
    if (cursor === null) return items;
  }
}

// Workers that validate without a pause until they are told to stop. Nothing is retried, and no request has a key: a
// request that fails by any means is a failure.
class Load {
  constructor(service, token, cards) {
    this.counts = { http: 0, router: 0 };
    this.failures = [];
    this.acknowledged = new Map(); // validation id → card
    this.running = true;
    this.slowest = { http: 0, router: 0 };
    this.agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
    this.clients = [0, 1].map(() => new ApiClient(service.api, 'acme', token));
    const overHttp = async (card) => {
      const reply = await service.request('POST', `/acme/mapi/v1/cards/${card.id}/validate`, { token, agent: this.agent, body: { gate: 'north' } });
      return { good: reply.status === 200, what: `${reply.status} ${reply.raw}`, body: reply.body };
    };
    const overRouter = async (card, worker) => {
      const reply = await this.clients[worker % 2].ask('card.validate', { id: card.id, gate: 'north' }, { timeout: 6_000 });
      return { good: reply.type === 'card.validate.ok', what: JSON.stringify(reply), body: reply.body };
    };
    this.finished = Promise.all(Array.from({ length: 2 * WORKERS }, async (_, worker) => {
      const [protocol, send] = worker < WORKERS ? ['http', overHttp] : ['router', overRouter];
      for (let turn = worker; this.running; turn += 1) {
        const begun = Date.now();
        try {
          const { good, what, body } = await send(cards[turn % cards.length], worker);
          if (!good) this.failures.push(`${protocol}: ${what}`);
          else this.acknowledged.set(body.validation_id, body.card.id);
        } catch (error) {
          this.failures.push(`${protocol}: ${error.code ?? ''} ${error.message}`);
          if (!this.running) return;
        }
        this.counts[protocol] += 1;
        this.slowest[protocol] = Math.max(this.slowest[protocol], Date.now() - begun);
      }
    }));
  }

  async stop() {
    this.running = false;
    await this.finished;
    this.agent.destroy();
    for (const client of this.clients) client.close();
  }
}

test(`${UPGRADES} upgrades under load: no request fails, by HTTP or ROUTER`, { timeout: 240_000 }, async (t) => {
  const place = mkdtempSync(path.join(tmpdir(), 'dc-program-'));
  const program = path.join(place, 'digitalcard');
  install(program);
  const service = await Service.start({ arguments: ['--shards', '2'], binary: program });
  try {
    const token = await service.tenant('acme', '--partitions', '4');
    const cards = [];
    for (let index = 0; index < 40; index += 1) cards.push(await service.issue('acme', token, { member_id: `m-${index}` }));
    const load = new Load(service, token, cards);
    await until(() => load.counts.http > 200 && load.counts.router > 200, 'the load is on');
    const times = [];
    for (let upgrade = 0; upgrade < UPGRADES; upgrade += 1) {
      const before = (await service.tree()).roles;
      const inode = install(program);
      const begun = Date.now();
      service.process.kill('SIGHUP');
      const after = await until(async () => {
        const { roles } = await service.tree();
        const fresh = roles.every((role) => role.state === 'ready' && !before.some((old) => old.incarnation === role.incarnation));
        return fresh && roles.length === before.length ? roles : null;
      }, 'all roles are new ones', 60_000);
      times.push(Date.now() - begun);
      for (const role of after) assert.equal(statSync(`/proc/${role.pid}/exe`).ino, inode, `${role.name} runs the new binary`);
      const at = { ...load.counts };
      await until(() => load.counts.http > at.http + 200 && load.counts.router > at.router + 200, 'the load goes on');
    }
    await load.stop();
    const lost = load.failures.filter((failure) => failure.includes('no answer')).length;
    t.diagnostic(JSON.stringify({ requests: load.counts, failures: load.failures.length, lost, upgrade_ms: times, slowest_ms: load.slowest }));
    assert.deepEqual(load.failures.slice(0, 10), [], `${load.failures.length} requests failed`);
    const restarts = Object.fromEntries((await service.tree()).roles.map((role) => [role.name, role.restarts]));
    assert.deepEqual([...new Set(Object.values(restarts))], [UPGRADES]);
    const ends = service.log.split('\n').filter((line) => line.includes('"role ended"')).map((line) => JSON.parse(line));
    assert.equal(ends.length, UPGRADES * Object.keys(restarts).length);
    assert.deepEqual(ends.filter(({ how }) => how !== 'exited with status 0'), [], 'roles that did not end by themselves');
    assert.equal(readlinkSync(`/proc/${service.process.pid}/exe`), `${program} (deleted)`);
  } catch (error) {
    t.diagnostic(service.log.slice(-12_000));
    throw error;
  } finally {
    await service.destroy();
    rmSync(place, { recursive: true, force: true });
  }
});

test('a new binary that does not start, or cannot be executed, changes nothing', { timeout: 120_000 }, async (t) => {
  const place = mkdtempSync(path.join(tmpdir(), 'dc-program-'));
  const program = path.join(place, 'digitalcard');
  install(program);
  const service = await Service.start({ binary: program });
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const before = (await service.tree()).roles;
    for (const bad of ['#!/bin/false\n', '']) {
      writeFileSync(`${program}.new`, bad, { mode: bad === '' ? 0o644 : 0o755 });
      renameSync(`${program}.new`, program);
      const seen = service.log.length;
      service.process.kill('SIGHUP');
      await until(() => /does not become ready|cannot be started anew/.test(service.log.slice(seen)), 'the supervisor says so');
      await until(async () => (await service.tree()).roles.every((role) => role.state === 'ready'), 'all roles are ready');
      assert.equal((await service.act('acme', token, card.id, 'validate'.replace('validate', 'suspend'))).status, 200);
      assert.equal((await service.act('acme', token, card.id, 'reinstate')).status, 200);
    }
    const after = (await service.tree()).roles;
    assert.deepEqual(after.map((role) => role.incarnation), before.map((role) => role.incarnation));
    install(program);
    service.process.kill('SIGHUP');
    await until(async () => (await service.tree()).roles.every((role) => role.state === 'ready' && !before.some((old) => old.incarnation === role.incarnation)),
      'a good one is taken', 30_000);
  } catch (error) {
    t.diagnostic(service.log.slice(-12_000));
    throw error;
  } finally {
    await service.destroy();
    rmSync(place, { recursive: true, force: true });
  }
});

test('SIGTERM under load: status 0 within the bound, and every answer is in the history', { timeout: 120_000 }, async (t) => {
  const service = await Service.start({ arguments: ['--shards', '2'] });
  try {
    const token = await service.tenant('acme', '--partitions', '4');
    const cards = [];
    for (let index = 0; index < 20; index += 1) cards.push(await service.issue('acme', token, { member_id: `m-${index}` }));
    const load = new Load(service, token, cards);
    await until(() => load.counts.http > 500 && load.counts.router > 500, 'the load is on');
    const begun = Date.now();
    load.running = false; // each worker ends with its present request, whatever becomes of it
    const ended = await service.stop('SIGTERM');
    const took = Date.now() - begun;
    assert.deepEqual(ended, { code: 0, signal: null });
    assert.ok(took <= DRAIN_MS, `${took} ms`);
    await load.stop();
    await service.spawn();
    const seen = new Map();
    for (const card of cards) for (const item of await readHistory(service, token, card.id)) seen.set(item.event_id, card.id);
    for (const [validation, card] of load.acknowledged) assert.equal(seen.get(validation), card, 'an acknowledged validation is gone');
    t.diagnostic(JSON.stringify({ drain_ms: took, acknowledged: load.acknowledged.size, unanswered: load.failures.length }));
    await sleep(0);
  } catch (error) {
    t.diagnostic(service.log.slice(-12_000));
    throw error;
  } finally {
    await service.destroy();
  }
});
