// Mixed commands by HTTP and ROUTER while each role in turn gets kill -9. Afterwards every acknowledged command is in
// the history exactly once, no sequence has a gap, and a subscriber that repaired its gaps has every event once.
// 50,000 commands and 20 kills; ten and five times that with DIGITALCARD_TEST_FULL=1. DIGITALCARD_TEST_SEED repeats a
// run's choices of commands (not the moments of the kills).
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { ApiClient, EventFollower } from './clients.mjs';
import { Ledger, checkHistories, checkJournal, choose, generator, overHttp, overRouter, perform } from './ledger.mjs';
import { Service, until } from './service.mjs';

const FULL = process.env.DIGITALCARD_TEST_FULL === '1';
const COMMANDS = FULL ? 500_000 : 50_000;
const KILLS = FULL ? 100 : 20;
const KILL_INTERVAL_MS = 600; // four roles in turn: below the five restarts in ten seconds that end the service
const CARDS = 200;
const CARDS_MAX = 2000; // new ones are used too, up to so many
const WORKERS = 16; // by each protocol
const PARTITIONS = 4;
const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);

async function killInTurn(service, done, total) {
  const killed = {};
  const names = (await service.tree()).roles.map((role) => role.name);
  let killedAt = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const name = names[kill % names.length];
    // Spread over the run: the next kill when its share of the commands is done.
    await until(() => done() >= (total * (kill + 1)) / (KILLS + 2), 'the commands go on', 120_000);
    await until(() => Date.now() - killedAt >= KILL_INTERVAL_MS, 'the next kill is due');
    const tree = await until(() => service.tree().catch(() => null), 'the tree answers');
    const role = tree.roles.find((candidate) => candidate.name === name);
    if (role?.pid > 0) {
      process.kill(role.pid, 'SIGKILL');
      killedAt = Date.now();
      killed[name] = (killed[name] ?? 0) + 1;
    }
    await until(async () => {
      const now = (await service.tree().catch(() => null))?.roles.find((candidate) => candidate.name === name);
      return now !== undefined && now.pid > 0 && now.pid !== role.pid && now.state === 'ready';
    }, `${name} is back after kill -9`, 20_000);
  }
  return killed;
}

test(`${COMMANDS} commands through ${KILLS} kills: nothing acknowledged is lost or doubled`, { timeout: 1_500_000 }, async (t) => {
  const service = await Service.start({ arguments: ['--shards', '2'] });
  const open = []; // sockets, which would keep a failed test from ending
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
    let finished = 0;
    const started = Date.now();
    const work = Promise.all(Array.from({ length: WORKERS * 2 }, async (_, worker) => {
      const send = senders[worker % 2];
      while (next < COMMANDS) {
        const command = choose(random, cards, next++);
        const body = await perform(send, command, ledger);
        ledger.record(command, body);
        if (command.type === 'card.issue' && body !== null && cards.length < CARDS_MAX) cards.push(body);
        finished += 1;
      }
    }));
    const killed = await Promise.race([killInTurn(service, () => finished, COMMANDS), work.then(() => new Promise(() => {}))]);
    await work;
    const seconds = (Date.now() - started) / 1000;
    agent.destroy();

    const histories = await checkHistories(service, 'acme', token, ledger);
    assert.deepEqual(follower.contradictions, [], 'one sequence with two events');
    const journal = await checkJournal(client, PARTITIONS, follower.places);
    const restarts = Object.fromEntries((await service.tree()).roles.map((role) => [role.name, role.restarts]));
    await service.stop();
    const verified = await service.command('store', 'verify', '--tenant', 'acme', '--json');
    t.diagnostic(JSON.stringify({ seed: SEED, commands: COMMANDS, seconds, rate: Math.round(COMMANDS / seconds), ...ledger.counts, killed, restarts,
      cards: histories, events_in_journal: journal.events, published: follower.places.size, repaired_by_subscriber: journal.repaired, delivered_twice: follower.doubled,
      validations_checked: ledger.validations.size, changes_checked: ledger.changes.size, issues_checked: ledger.issued.size, verify: JSON.parse(verified) }));
    assert.equal(Object.values(killed).reduce((sum, count) => sum + count, 0), KILLS);
  } catch (error) {
    t.diagnostic(`seed ${SEED}; the service's last lines:\n${service.log.slice(-4000)}`);
    throw error;
  } finally {
    for (const socket of open) socket.close();
    await service.destroy();
  }
});
