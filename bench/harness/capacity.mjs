// What a card, an event, a tenant and a connection cost, each at three sizes, so that the growth is seen: disk, memory, time. It prints the
// tables of docs/capacity.md. Usage: node bench/harness/capacity.mjs [--stores embedded,postgresql] [--cards 5000,20000,80000] [--tenants 10,40,160]
//   [--seconds S of validations] [--parts cards,tenants,connections]
import { execFileSync } from 'node:child_process';
import { Servers, bench, footprint, pause, until } from './servers.mjs';

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const sizes = (name, otherwise) => option(name, otherwise).split(',').map(Number);
const PARTS = option('--parts', 'cards,tenants,connections').split(',');

const servers = new Servers();
const disk = (folder) => Number(execFileSync('du', ['-sB1', folder], { encoding: 'utf8' }).split('\t')[0]);

// Journal and read models together. The embedded store is looked at after a clean end, which writes its logs back into their files.
async function stored(service, postgres) {
  if (postgres === undefined) {
    await servers.end(service);
    const size = disk(service.data);
    await service.again();
    return size;
  }
  await postgres.sql('CHECKPOINT');
  return Number(await postgres.sql("SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')"));
}

// Until the read models have all that was written.
async function folded(service) {
  await until(async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const lags = [...text.matchAll(/^digitalcard_projection_lag_events(?:\{[^}]*\})? (\d+)/gm)].map(([, lag]) => lag);
    return lags.length > 0 && lags.every((lag) => lag === '0');
  }, 'read models have caught up', 120_000);
  await pause(1000); // what is counted a moment later
}

// What the tenant's database is made of, in bytes: schema and table, months of events together; rows and indexes.
async function relations(postgres) {
  const database = await postgres.sql("SELECT datname FROM pg_database WHERE datname LIKE '%bench' ORDER BY oid DESC LIMIT 1");
  const rows = await postgres.sql(`SELECT n.nspname || '.' || regexp_replace(c.relname, '[_0-9]*[0-9]$', ''), sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg_toast%' GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 200000 ORDER BY sum(pg_total_relation_size(c.oid)) DESC`, database);
  return rows.split('\n').map((row) => row.split('|')).map(([name, table, indexes]) => `${name} ${table} + ${indexes}`).join(', ');
}

async function cardsAndEvents(store, postgres) {
  console.log(`\n| ${store}: cards | issued/s | disk per card, bytes | PSS of the tree, MB | validations | per second | disk per validation, bytes |\n|---|---|---|---|---|---|---|`);
  for (const cards of sizes('--cards', '5000,20000,80000')) {
    if (postgres !== undefined) await postgres.sql(`CREATE DATABASE capacity_${cards}`);
    const service = await servers.service(`${store}-${cards}`, { store: postgres?.url(`capacity_${cards}`), shards: 1 });
    const empty = await stored(service, postgres);
    const begin = performance.now();
    const told = await bench(service, ['api', '--connections', '4', '--pipeline', '64', '--cards', String(cards), '--duration', '0.1', '--warmup', '0']);
    const issueSeconds = (performance.now() - begin) / 1000 - 0.2;
    await folded(service);
    const memory = footprint(service.child.pid).pss / 1e6;
    const withCards = await stored(service, postgres);
    if (postgres !== undefined) console.log(`with ${cards} cards: ${await relations(postgres)}`);
    const before = await stored(service, postgres);
    await pause(300);
    const load = await bench(service, ['api', '--connections', '4', '--pipeline', '64', '--cards', '1', '--duration', option('--seconds', String(Math.min(10, Math.max(2, cards / 10000)))), '--warmup', '0']);
    await folded(service);
    const after = await stored(service, postgres);
    if (postgres !== undefined) console.log(`and ${load.requests} validations: ${await relations(postgres)}`);
    const perEvent = (after - before) / load.requests; // the tenth of a second of validations after the cards is taken off
    console.log(`| ${cards} | ${Math.round(cards / issueSeconds)} | ${Math.round((withCards - empty - told.requests * perEvent) / cards)} | ${memory.toFixed(1)} | ${load.requests} | ${Math.round(load.rate)} | ${Math.round((after - before) / load.requests)} |`);
    await servers.end(service);
  }
}

async function tenants(store, postgres) {
  console.log(`\n| ${store}: tenants | ms to create one | disk per tenant, bytes | PSS of the tree, MB, all idle |\n|---|---|---|---|`);
  for (const count of sizes('--tenants', '10,40,160')) {
    if (postgres !== undefined) await postgres.sql(`CREATE DATABASE tenants_${count}`);
    const service = await servers.service(`${store}-t${count}`, { store: postgres?.url(`tenants_${count}`), shards: 1 });
    const empty = await stored(service, postgres);
    const begin = performance.now();
    for (let index = 0; index < count; index += 1) await service.command('tenant', 'create', `t-${index}`);
    const each = (performance.now() - begin) / count;
    await pause(1000);
    console.log(`| ${count} | ${each.toFixed(0)} | ${Math.round(((await stored(service, postgres)) - empty) / count)} | ${(footprint(service.child.pid).pss / 1e6).toFixed(1)} |`);
    await servers.end(service);
  }
}

async function connections() {
  console.log('\n| connections held open | PSS of the tree, MB |\n|---|---|');
  const service = await servers.service('connections', { shards: 1 });
  for (const count of sizes('--connections', '100,1000,5000')) {
    const load = bench(service, ['http', '--connections', String(count), '--rate', '200', '--cards', '10', '--duration', '4', '--warmup', '1'], { allowsErrors: true });
    await pause(3500);
    const memory = footprint(service.child.pid).pss / 1e6;
    const told = await load;
    console.log(`| ${count}${told.errors > 0 ? ` (${JSON.stringify(told.error_kinds)})` : ''} | ${memory.toFixed(1)} |`);
  }
  await servers.end(service);
}

try {
  for (const store of option('--stores', 'embedded,postgresql').split(',')) {
    const postgres = store === 'postgresql' ? await servers.postgres() : undefined;
    if (PARTS.includes('cards')) await cardsAndEvents(store, postgres);
    if (PARTS.includes('tenants')) await tenants(store, postgres);
    if (store === 'embedded' && PARTS.includes('connections')) await connections();
  }
} finally {
  await servers.stop();
}
