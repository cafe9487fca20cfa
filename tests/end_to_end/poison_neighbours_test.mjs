// Commands that make a handler fail, from the neighbour's side: one tenant scans at a steady rate while another one, on
// the same shard, sends commands that fail, take all their memory, crash the role or hang. No scan of the neighbour may
// fail, and the log names actor, command and trace id. How its times compare with those of the windows without poison,
// in turn, is printed and not asserted: it is a measurement. A command that kills its role does so twice in every window,
// until it is quarantined; the next window has a new one.
//   3 rounds of 20 s windows with DIGITALCARD_TEST_FULL=1 (a minute with what kills roles), else one of 1.5 s.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { median } from './processes.mjs';
import { Service } from './service.mjs';

const FULL = process.env.DIGITALCARD_TEST_FULL === '1';
const ROUNDS = FULL ? 3 : 1;
const WINDOW_MS = FULL ? 20_000 : 1_500;
const KILLS_WINDOW_MS = FULL ? 60_000 : 1_500;
const RATE = 300; // scans per second of the neighbour, each counted from the moment it was due
const CARDS = 50;
const TRACE = '0af7651916cd43dd8448eb211c80319c';

const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const round = (value) => Math.round(value * 100) / 100;

// What the sick tenant sends, how often, and whether each is another command than those before.
const KINDS = [
  { name: 'a handler that fails', word: 'poison-error', every_ms: 20 },
  { name: 'a handler that takes all its memory', word: 'poison-memory', every_ms: 20 },
  { name: 'one command that crashes the role, again and again', word: 'poison-segv', every_ms: 20, how: /SIGSEGV/ },
  { name: 'another command that crashes the role every ten seconds', word: 'poison-segv', every_ms: 10_000, differs: true, how: /SIGSEGV/ },
  { name: 'a command that computes without end, again and again', word: 'poison-loop', every_ms: 20, how: /watchdog/ },
  { name: 'a command that sleeps without end, again and again', word: 'poison-hang', every_ms: 20, how: /watchdog/ },
];

class Pair {
  static async open() {
    const pair = new Pair();
    pair.service = await Service.start({ arguments: ['--shards', '1'] });
    pair.agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    pair.sickAgent = new http.Agent({ keepAlive: true });
    pair.tokens = { gate: await pair.service.tenant('gate'), sick: await pair.service.tenant('sick') };
    pair.gates = [];
    for (let index = 0; index < CARDS; index += 1) pair.gates.push(await pair.service.issue('gate', pair.tokens.gate, { member_id: `g-${index}` }));
    pair.number = 0;
    return pair;
  }

  async close() {
    this.agent.destroy();
    this.sickAgent.destroy();
    await this.service.destroy();
  }

  async scan(due, times, failures) {
    this.number += 1;
    const reply = await this.service.request('POST', '/gate/mapi/v1/scans', { token: this.tokens.gate, agent: this.agent,
      headers: { 'Idempotency-Key': `scan-${this.number}` }, body: { qr: this.gates[this.number % CARDS].qr.text, gate: 'north' } }).catch((error) => ({ status: 0, raw: error.message }));
    times.push(performance.now() - due);
    if (reply.status !== 200 || reply.body.reason !== 'valid') failures.push(`${reply.status} ${reply.raw}`);
  }

  // One window: the milliseconds that each scan took, and those that failed.
  async window(poison, window_ms) {
    const times = [];
    const failures = [];
    const asked = [];
    const started = performance.now();
    let nextPoison = poison === null ? Infinity : started + Math.min(poison.every_ms, window_ms / 4);
    for (let sent = 0; performance.now() - started < window_ms;) {
      for (; started + (sent * 1000) / RATE <= performance.now(); sent += 1) asked.push(this.scan(started + (sent * 1000) / RATE, times, failures));
      if (performance.now() >= nextPoison) {
        nextPoison += poison.every_ms;
        asked.push(poison.send());
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(asked);
    return { times, failures };
  }
}

// The poison of one kind: a card of its own, so that kinds do not quarantine each other's.
async function poisonOf(pair, kind) {
  const { id } = await pair.service.issue('sick', pair.tokens.sick, { member_id: kind.word });
  const poison = { id, sent: 0, turn: 0, every_ms: kind.every_ms, answers: {} };
  poison.send = async () => {
    poison.sent += 1;
    const reply = await pair.service.request('POST', `/sick/mapi/v1/cards/${id}/validate`, { token: pair.tokens.sick, agent: pair.sickAgent,
      headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-01` }, body: { gate: kind.word, zone: `z-${kind.differs ? poison.sent : poison.turn}` } }).catch(() => ({ status: 0 }));
    const answer = reply.body?.reason ?? reply.body?.code ?? String(reply.status);
    poison.answers[answer] = (poison.answers[answer] ?? 0) + 1;
  };
  return poison;
}

for (const kind of KINDS) {
  test(`${kind.name}: the scans of another tenant go on`, { timeout: 600_000 }, async (t) => {
    const pair = await Pair.open();
    try {
      const poison = await poisonOf(pair, kind);
      const without = [];
      const beside = [];
      const failures = [];
      if (FULL) await pair.window(null, WINDOW_MS); // warm-up
      for (let turn = 0; turn < ROUNDS; turn += 1) {
        poison.turn = turn;
        for (const [windows, what, window_ms] of [[without, null, WINDOW_MS], [beside, poison, kind.how === undefined ? WINDOW_MS : KILLS_WINDOW_MS]]) {
          const { times, failures: failed } = await pair.window(what, window_ms);
          windows.push(times);
          failures.push(...failed);
        }
      }
      assert.deepEqual(failures.slice(0, 5), [], 'scans of the neighbour that failed');
      const lines = pair.service.log.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
      const named = lines.filter((line) => line.trace_id === TRACE && line.tenant === 'sick' && (line.actor ?? line.id) === poison.id && line.command === 'card.validate');
      assert.ok(named.length > 0, 'the log names actor, command and trace id');
      if (kind.how !== undefined) assert.match(named[0].how, kind.how);
      const p99 = (windows) => windows.map((times) => quantile(times, 0.99));
      const [alone, during] = [p99(without), p99(beside)];
      t.diagnostic(JSON.stringify({ kind: kind.name, scans_per_s: RATE, window_s: [WINDOW_MS / 1000, KILLS_WINDOW_MS / 1000], rounds: ROUNDS, poison_sent: poison.sent, answers: poison.answers,
        kills: lines.filter((line) => line.kills > 0).length,
        without: { p50: round(median(without.map((times) => quantile(times, 0.5)))), p99: round(median(alone)), p99s: alone.map(round), max: round(Math.max(...without.flat())) },
        beside: { p50: round(median(beside.map((times) => quantile(times, 0.5)))), p99: round(median(during)), p99s: during.map(round), max: round(Math.max(...beside.flat())) },
        p99_ratio: round(median(during) / median(alone)) }));
    } catch (error) {
      error.message += `\n${pair.service.log.slice(-3000)}`;
      throw error;
    } finally {
      await pair.close();
    }
  });
}
