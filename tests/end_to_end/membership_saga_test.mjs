// Events of the membership context at length: a member with very many cards through kills, a storm of events through
// crashes of the adapters role, and what a dead or hanging context costs the gate. In full with DIGITALCARD_TEST_FULL=1.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { SLOW_STORE, manyCards, start, stormOfEvents } from './membership_cases.mjs';
import { killRole } from './service.mjs';

const FULL = process.env.DIGITALCARD_TEST_FULL === '1';
const CARDS = FULL ? 10_000 : 1_500;
const EVENTS = FULL ? 1_000_000 : 20_000;
const KILLS = FULL ? 20 : 4;
const MEMBERS = 200;
const PAIRS = 5;
const RUN_MS = FULL ? 5_000 : 700;
const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);

test(`a cancelled member with ${CARDS} cards: every card refuses within 2 s, through a kill of any role`, { timeout: 900_000 }, async (t) => {
  const some = FULL ? CARDS : Math.round(CARDS / 5);
  const runs = [[null, CARDS], ...['shard-0', 'adapters', 'relay', 'front-0'].map((victim) => [victim, some])];
  await manyCards(t, await start(t, { settings: SLOW_STORE, tenant: null }), { runs });
});

test(`${EVENTS} events with duplicates, disorder and gaps, ${KILLS} crashes of the adapters role: as the reference fold`, { timeout: 3_000_000 }, async (t) => {
  const kills = Array.from({ length: KILLS }, () => (service) => killRole(service, 'adapters'));
  await stormOfEvents(t, await start(t, { settings: SLOW_STORE, tenant: null }), { events: EVENTS, kills, members: MEMBERS, seed: SEED });
});

async function p99(service, token, cards, milliseconds) {
  const times = [];
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const end = performance.now() + milliseconds;
  await Promise.all(Array.from({ length: 16 }, async (_, worker) => {
    for (let i = worker; performance.now() < end; i += 1) {
      const began = performance.now();
      const reply = await service.request('POST', '/acme/mapi/v1/scans', { token, agent, body: { qr: cards[i % cards.length].qr.text, gate: 'n' } });
      assert.equal(reply.body.reason, 'valid');
      times.push(performance.now() - began);
    }
  }));
  agent.destroy();
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)];
}

for (const [what, spoil, mend] of [
  ['dead', (context) => context.die(), (context) => context.returnToLife()],
  ['hanging', (context) => { context.mode = 'never'; }, (context) => { context.mode = 'good'; }],
]) {
  test(`a context that is ${what} does not slow the gate: ${PAIRS} alternating runs`, { timeout: 300_000 }, async (t) => {
    const { context, service, token } = await start(t, { settings: SLOW_STORE });
    const cards = [];
    for (let i = 0; i < 50; i += 1) {
      context.member('acme', `m-${i}`);
      cards.push(await service.issue('acme', token, { member_id: `m-${i}` }));
    }
    await p99(service, token, cards, RUN_MS); // warm
    const good = [];
    const bad = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      good.push(await p99(service, token, cards, RUN_MS));
      await spoil(context);
      bad.push(await p99(service, token, cards, RUN_MS));
      await mend(context);
    }
    const show = (values) => values.map((value) => value.toFixed(1)).join(' ');
    t.diagnostic(`p99 in ms, good: ${show(good)}; ${what}: ${show(bad)}`);
    const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
    // The machine is shared: only a gate that waits for the context (its deadline is 500 ms) is far outside.
    assert.ok(median(bad) <= 2 * Math.max(...good) + 5, `${median(bad)} against ${Math.max(...good)}`);
  });
}
