// PostgreSQL by a host name, while the name system hangs or is gone (tests/support/names.c stands in for it): nothing
// stands still for it, connections are made to the addresses that were known before, and where none is known callers
// hear 503 at once. Several addresses are tried in turn, and a name that leads elsewhere is followed.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { Service, until } from './service.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'dc-names-'));
const says = (word) => writeFileSync(path.join(folder, 'says'), `${word}\n`);
const tenants = {};
let postgres;
let service;

before(async () => {
  says('good');
  postgres = await Postgres.start();
  process.env.DIGITALCARD_STORE = postgres.url.replace('127.0.0.1', 'db.test');
  process.env.LD_PRELOAD = process.env.DIGITALCARD_NAMES;
  process.env.NAMES_SWITCH = `${folder}/says`;
  service = await Service.start({ arguments: ['--shards', '1'] });
  for (const tenant of ['acme', 'other']) {
    const token = await service.tenant(tenant);
    tenants[tenant] = { token, card: await service.issue(tenant, token), database: await postgres.tenantDatabase(tenant) };
  }
  delete process.env.LD_PRELOAD; // of the service, not of what looks at it
});
after(async () => {
  says('good');
  await service?.destroy();
  await postgres?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const scan = (tenant) => service.scan(tenant, tenants[tenant].token, tenants[tenant].card.qr.text);
const goesOn = (tenant) => until(async () => (await scan(tenant)).status === 200, `${tenant} goes on`);
const troubles = async () => (await service.request('GET', '/metrics')).raw.toString().split('\n')
  .filter((line) => line.startsWith('digitalcard_journal_troubles_total') && line.includes('reason="name"'))
  .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
const role = async (name) => (await service.tree()).roles.find((one) => one.name === name);
const pids = async () => (await service.tree()).roles.map((one) => one.pid);

for (const [word, what] of [['hang', 'the name hangs'], ['gone', 'no name server answers']]) {
  test(`${what}: who has a connection goes on, who needs one gets it from the addresses known before`, async () => {
    const before_ = await pids();
    const told = await troubles();
    says(word);
    await postgres.endSessions(tenants.acme.database);
    // Its shard must not stand still: the other tenant's session is untouched, and no scan of it waits for a name.
    const first = scan('acme');
    for (let i = 0; i < 50; i += 1) assert.equal((await scan('other')).status, 200);
    await first;
    await goesOn('acme');
    await until(async () => await troubles() > told, 'it is counted');
    assert.ok(service.log.includes('the name of the PostgreSQL server cannot be looked up'));
    // All sessions of all roles, the control database's among them: the relay shows what was scanned since.
    await postgres.endSessions('digitalcard');
    await postgres.endSessions(tenants.other.database);
    await goesOn('other');
    await until(async () => (await service.request('GET', `/other/api/v1/cards/${tenants.other.card.id}/history`,
      { token: tenants.other.token })).status === 200, 'the relay reads');
    assert.deepEqual(await pids(), before_, 'nobody had to be restarted');
    says('good');
  });
}

test('the name hangs and no address is known, in a shard and a relay that start: 503 meanwhile, and all goes on with the name', async (t) => {
  says('hang');
  for (const name of ['shard-0', 'relay']) {
    const { pid } = await role(name);
    process.kill(pid, 'SIGKILL');
    await until(async () => { const now = await role(name); return now.pid !== pid && now.pid > 0; }, `${name} is started again`);
  }
  const started = [(await role('shard-0')).pid, (await role('relay')).pid];
  const began = Date.now();
  assert.equal((await scan('acme')).status, 503);
  t.diagnostic(`503 after ${Date.now() - began} ms`); // the name hangs on
  await until(() => /look up the name of the server/.test(service.log), 'it says why');
  says('good');
  await goesOn('acme');
  await goesOn('other');
  assert.deepEqual([(await role('shard-0')).pid, (await role('relay')).pid], started, 'the watchdog had nothing to do');
});

test('several addresses are tried in turn; a name that leads elsewhere is followed at the next connection', async () => {
  says('127.0.0.9 127.0.0.1'); // nobody listens at the first
  await until(async () => {
    await postgres.endSessions(tenants.acme.database);
    return (await scan('acme')).status === 200;
  }, 'the second address serves');
  const refused = () => [...service.log.matchAll(/127\.0\.0\.8/g)].length;
  says('127.0.0.8');
  await until(async () => {
    await postgres.endSessions(tenants.acme.database);
    return (await scan('acme')).status === 503 && refused() > 0;
  }, 'the new address is asked');
  says('good');
  await goesOn('acme');
});

test('a command whose name hangs ends by itself and says why', async (t) => {
  says('hang');
  const environment = { LD_PRELOAD: process.env.DIGITALCARD_NAMES };
  Object.assign(process.env, environment);
  const began = Date.now();
  const ended = await service.tryCommand('store', 'verify', '--data', service.data, '--store', process.env.DIGITALCARD_STORE);
  delete process.env.LD_PRELOAD;
  says('good');
  assert.equal(ended.status, 1);
  t.diagnostic(`ended after ${Date.now() - began} ms`); // who waits until a hanging name ends would be led to the server
  assert.match(ended.stderr, /look up the name of the server/);
  assert.match(ended.stdout, /^acme +UNREAD  \(store_unavailable\)$/m, 'nothing is said to be damaged that was not looked at');
});
