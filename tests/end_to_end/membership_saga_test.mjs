// Events of the membership context at length: a member with very many cards through kills, a storm of events through
// crashes of the adapters role, and what a dead or hanging context costs the gate. In full with DIGITALCARD_TEST_FULL=1.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { SLOW_STORE, manyCards, start, stormOfEvents } from './membership_cases.mjs';
import { killRole, until } from './service.mjs';

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

// Scans for a while; `check` sees every verdict. Nobody's answer is missing: a request without one rejects.
async function p99(service, token, cards, milliseconds, check = () => {}) {
  const times = [];
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const end = performance.now() + milliseconds;
  await Promise.all(Array.from({ length: 16 }, async (_, worker) => {
    for (let i = worker; performance.now() < end; i += 1) {
      const began = performance.now();
      const reply = await service.request('POST', '/acme/mapi/v1/scans', { token, agent, body: { qr: cards[i % cards.length].qr.text, gate: 'n' } });
      times.push(performance.now() - began);
      assert.equal(reply.status, 200, `${reply.raw}`);
      assert.equal(reply.body.reason, 'valid');
      check(reply.body);
    }
  }));
  agent.destroy();
  times.sort((a, b) => a - b);
  return { p99: times[Math.floor(times.length * 0.99)], count: times.length };
}

for (const [what, spoil, mend] of [
  ['dead', (context) => context.die(), (context) => context.returnToLife()],
  ['hanging', (context) => { context.mode = 'never'; }, (context) => { context.mode = 'good'; }],
]) {
  test(`with a context that is ${what} every scan is answered, as a fallback with its age: ${PAIRS} alternating runs`, { timeout: 300_000 }, async (t) => {
    const { context, service, token } = await start(t, { settings: SLOW_STORE });
    const cards = [];
    for (let i = 0; i < 50; i += 1) {
      context.member('acme', `m-${i}`);
      cards.push(await service.issue('acme', token, { member_id: `m-${i}` }));
    }
    const isFallback = async () => (await service.scan('acme', token, cards[0].qr.text)).body.fallback;
    await p99(service, token, cards, RUN_MS); // warm
    const good = [];
    const bad = [];
    let fallbacks = 0;
    for (let pair = 0; pair < PAIRS; pair += 1) {
      good.push((await p99(service, token, cards, RUN_MS)).p99);
      await spoil(context);
      // Who issues asks the context, which makes the failures; the cards are issued on what is known.
      await Promise.all(cards.slice(0, 6).map((_, i) => service.issue('acme', token, { member_id: `m-${i}` })));
      await until(isFallback, 'scans say fallback', 30_000);
      const run = await p99(service, token, cards, RUN_MS, (seen) => {
        assert.equal(seen.fallback, true);
        assert.ok(Number.isInteger(seen.fallback_age_s) && seen.fallback_age_s >= 0 && seen.fallback_age_s < 300, `${seen.fallback_age_s}`);
        fallbacks += 1;
      });
      bad.push(run.p99);
      await mend(context);
      await until(async () => !await isFallback(), 'no fallback any more', 30_000);
    }
    assert.ok(fallbacks > 0);
    // Printed and no more: the machine is shared, and a timing decides nothing.
    const show = (values) => {
      const sorted = [...values].sort((a, b) => a - b);
      return `${values.map((value) => value.toFixed(1)).join(' ')} (median ${sorted[sorted.length >> 1].toFixed(1)}, spread ${sorted[0].toFixed(1)} to ${sorted.at(-1).toFixed(1)})`;
    };
    t.diagnostic(`p99 in ms, good: ${show(good)}; ${what}: ${show(bad)}; ${fallbacks} fallbacks`);
  });
}
