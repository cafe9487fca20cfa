// The membership context with the PostgreSQL store: what its tests expect of the embedded one, in smaller numbers, and the
// database server killed midway.
import { after, before, test } from 'node:test';
import { QUICK, SLOW_STORE, disorderAndPoison, eventsOfAMember, manyCards, start, stormOfEvents } from './membership_cases.mjs';
import { Postgres } from './postgres.mjs';
import { killRole } from './service.mjs';

const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);
let postgres;

before(async () => { postgres = await Postgres.start(); });
after(async () => { await postgres?.destroy(); });

// Each service has a control database, and so tenants, of its own; commands of the tests find it in the environment.
async function startOnPostgres(t, options) {
  process.env.DIGITALCARD_STORE = await postgres.freshUrl();
  return start(t, options);
}

const restartServer = async () => {
  await postgres.kill();
  await postgres.spawn();
};

test('events suspend, reinstate exactly those, renew and revoke; members without cards too', async (t) =>
  eventsOfAMember(await startOnPostgres(t, { settings: QUICK })));

test('duplicates, disorder, gaps, later versions and poison end as the reference says', async (t) =>
  disorderAndPoison(await startOnPostgres(t)));

test('a cancelled member with many cards: every card refuses within 2 s, through a kill of a shard and of adapters; of the database server too',
  { timeout: 300_000 }, async (t) => {
    const runs = [[null, 200], ['shard-0', 80], ['adapters', 80], ['database', 80]];
    const kill = (service, victim) => (victim === 'database' ? restartServer() : killRole(service, victim));
    await manyCards(t, await startOnPostgres(t, { settings: SLOW_STORE, tenant: null }), { runs, kill });
  });

test('2,000 events with duplicates, disorder and gaps through crashes of adapters, a shard and the database server: as the reference fold',
  { timeout: 300_000 }, async (t) => {
    const kills = ['adapters', 'shard-0', 'adapters'].map((name) => (service) => killRole(service, name));
    const started = await startOnPostgres(t, { settings: SLOW_STORE, tenant: null });
    await stormOfEvents(t, started, { events: 2_000, kills: [...kills, restartServer], members: 60, seed: SEED });
  });
