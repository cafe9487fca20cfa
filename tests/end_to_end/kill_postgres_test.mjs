// Mixed commands by HTTP and ROUTER while PostgreSQL (kill -9 of all of it, or an immediate stop) and the shards (kill -9)
// die in turn. Afterwards every acknowledged command is in the history exactly once, and no sequence has a gap.
// 10 kills; 200 with DIGITALCARD_TEST_FULL=1. DIGITALCARD_TEST_SEED repeats a run's choices of commands.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { ApiClient, EventFollower } from './clients.mjs';
import { Ledger, checkHistories, checkJournal, choose, generator, overHttp, overRouter, perform } from './ledger.mjs';
import { Postgres } from './postgres.mjs';
import { Service, until } from './service.mjs';

const KILLS = process.env.DIGITALCARD_TEST_FULL === '1' ? 200 : 10;
const COMMANDS_BETWEEN = 100; // acknowledged between two kills, so that each meets work under way
const SHARD_INTERVAL_MS = 1200; // two shards in turn: below the five restarts in ten seconds that restart the group
const CARDS = 100;
const CARDS_MAX = 1000;
const WORKERS = 8; // by each protocol
const PARTITIONS = 4;
const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);

async function killShard(service, name) {
  const look = () => service.tree().then((tree) => tree.roles.find((role) => role.name === name), () => undefined);
  const role = await until(async () => { const found = await look(); return found?.pid > 0 && found.state === 'ready' ? found : null; }, `${name} is up`, 60_000);
  process.kill(role.pid, 'SIGKILL');
  await until(async () => { const now = await look(); return now?.pid > 0 && now.pid !== role.pid && now.state === 'ready'; }, `${name} is back`, 60_000);
}

async function killInTurn(service, postgres, acknowledged) {
  const killed = { 'postgres kill -9': 0, 'postgres immediate stop': 0, 'shard kill -9': 0 };
  let shardAt = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const from = acknowledged();
    await until(() => acknowledged() >= from + COMMANDS_BETWEEN, `commands go on after ${kill} kills`, 120_000);
    if (kill % 2 === 1) {
      await until(() => Date.now() - shardAt >= SHARD_INTERVAL_MS, 'the next shard is due');
      await killShard(service, `shard-${(kill >> 1) % 2}`);
      shardAt = Date.now();
      killed['shard kill -9'] += 1;
    } else {
      const isHard = kill % 4 === 0;
      await (isHard ? postgres.kill() : postgres.crash());
      await postgres.spawn();
      killed[isHard ? 'postgres kill -9' : 'postgres immediate stop'] += 1;
    }
  }
  return killed;
}

test(`${KILLS} kills of PostgreSQL and of shards: nothing acknowledged is lost or doubled`, { timeout: 2_700_000 }, async (t) => {
  const postgres = await Postgres.start();
  process.env.DIGITALCARD_STORE = postgres.url;
  const service = await Service.start({ arguments: ['--shards', '2'] });
  const open = [];
  try {
    const token = await service.tenant('acme', '--partitions', String(PARTITIONS));
    const random = generator(SEED);
    const ledger = new Ledger();
    const cards = [];
    for (let index = 0; index < CARDS; index += 1) cards.push(await service.issue('acme', token, { member_id: `first-${index}` }));
    const follower = new EventFollower(service.events, 'acme', { keep: false });
    await follower.ready();
    const agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
    const client = new ApiClient(service.api, 'acme', token);
    open.push(follower, client);
    const senders = [overHttp(service, 'acme', token, agent), overRouter(client)];
    let next = 0;
    let isOver = false;
    const started = Date.now();
    const work = Promise.all(Array.from({ length: WORKERS * 2 }, async (_, worker) => {
      while (!isOver) {
        const command = choose(random, cards, next);
        next += 1;
        const body = await perform(senders[worker % 2], command, ledger);
        ledger.record(command, body);
        if (command.type === 'card.issue' && body !== null && cards.length < CARDS_MAX) cards.push(body);
      }
    }));
    const failed = work.then(() => new Promise(() => {})); // a worker that throws ends the test
    const killed = await Promise.race([killInTurn(service, postgres, () => ledger.counts.acknowledged), failed]);
    isOver = true;
    await work;
    const seconds = (Date.now() - started) / 1000;
    agent.destroy();

    await until(async () => (await service.request('GET', `/acme/api/v1/cards/${cards[0].id}/history`, { token })).status === 200, 'the relay reads again', 30_000);
    const histories = await checkHistories(service, 'acme', token, ledger);
    assert.deepEqual(follower.contradictions, [], 'one sequence with two events');
    const journal = await checkJournal(client, PARTITIONS, follower.places);
    const restarts = Object.fromEntries((await service.tree()).roles.map((role) => [role.name, role.restarts]));
    const verified = JSON.parse(await service.command('store', 'verify', '--tenant', 'acme', '--json'));
    assert.equal(verified.sound, true, JSON.stringify(verified));
    t.diagnostic(JSON.stringify({ seed: SEED, seconds, rate: Math.round(ledger.counts.acknowledged / seconds), ...ledger.counts, killed, restarts,
      cards: histories, events_in_journal: journal.events, repaired_by_subscriber: journal.repaired, validations_checked: ledger.validations.size,
      changes_checked: ledger.changes.size, issues_checked: ledger.issued.size, lost: 0, doubled: 0, gaps: 0 }));
    assert.equal(Object.values(killed).reduce((sum, count) => sum + count, 0), KILLS);
  } catch (error) {
    t.diagnostic(`seed ${SEED}; the service's last lines:\n${service.log.slice(-4000)}`);
    throw error;
  } finally {
    for (const socket of open) socket.close();
    await service.destroy();
    await postgres.destroy();
  }
});
