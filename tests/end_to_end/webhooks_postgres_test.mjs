// Webhooks with the PostgreSQL store: what webhooks_test.mjs expects of SQLite, on a tenant with several partitions, and a
// server that ends midway.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { Receiver, assertInOrderPerCard, namesakes, surviveKills, verify } from './receiver.mjs';
import { Service, until } from './service.mjs';

let postgres;
let service;
let token;

before(async () => {
  postgres = await Postgres.start();
  process.env.DIGITALCARD_STORE = postgres.url; // commands of the tests find it there as well
  service = await Service.start({ arguments: ['--webhooks-private', 'allow'] });
  token = await service.tenant('acme', '--partitions', '4');
});
after(async () => {
  Receiver.closeAll();
  await service?.destroy();
  await postgres?.destroy();
});

const command = async (...args) => JSON.parse(await service.command('webhooks', ...args, '--tenant', 'acme', '--json'));
const add = async (name, receiver) => (await command('add', name, '--url', receiver.url)).secret;
const log = async (name) => (await command('log', name, '--limit', '1000')).deliveries;
const lag = async (name) => (await service.request('GET', '/acme/api/v1/consumers', { token })).body.items.find((item) => item.name === `webhook.${name}`)?.lag;

test('events of all partitions arrive signed, are logged, rotated and replayed', async () => {
  const receiver = await Receiver.start((event, attempt) => (event.name === 'CardIssued' && attempt === 1 ? 500 : 200));
  const secret = await add('crm', receiver);
  const cards = [];
  for (let i = 0; i < 12; i++) cards.push(await service.issue('acme', token, { member_id: `w-${i}` }));
  await until(() => receiver.accepted.length >= 24, 'everything arrives', 30_000);
  assert.ok(new Set(receiver.accepted.map((event) => event.partition)).size > 1);
  assertInOrderPerCard(receiver.accepted);
  for (const delivery of receiver.got) assert.ok(verify(secret, delivery));
  await until(async () => (await log('crm')).filter((entry) => entry.state === 'delivered').length === 24, 'the log');
  assert.ok((await log('crm')).some((entry) => entry.event === 'CardIssued' && entry.attempts === 2));
  await until(async () => await lag('crm') === 0, 'its cursors are at the heads');
  const second = (await command('rotate', 'crm', '--overlap-s', '3600')).secret;
  const { partition } = receiver.accepted[0];
  const before = receiver.got.length;
  await until(async () => (await service.act('acme', token, cards[0].id, 'suspend').catch(() => null)) !== null, 'a suspension');
  await until(() => receiver.got.length > before, 'it arrives');
  await command('replay', 'crm', '--partition', String(partition), '--from', '1', '--to', '2');
  const again = await until(() => receiver.got.find(({ headers }) => headers['x-replay'] === '1'), 'the range arrives');
  assert.ok(verify(secret, again) && verify(second, again));
  await command('remove', 'crm');
  assert.deepEqual((await command('list')).webhooks, []);
});

test('a relay killed midway loses nothing and keeps the order', () => surviveKills(service, token, add, lag));

test('a server that ends midway costs nothing that was acknowledged', async () => {
  const receiver = await Receiver.start();
  await add('patient', receiver);
  const cards = [];
  for (let i = 0; i < 5; i++) cards.push(await service.issue('acme', token, { member_id: `p-${i}` }));
  await postgres.kill();
  await postgres.spawn();
  await until(async () => (await service.request('GET', '/health/ready')).status === 200, 'it is ready again', 60_000);
  cards.push(await until(() => service.issue('acme', token, { member_id: 'p-5' }).catch(() => null), 'a card is issued', 30_000));
  const missing = () => cards.filter((card) => receiver.accepted.filter((event) => event.card === card.id).length < 2);
  await until(() => missing().length === 0, 'everything arrives', 60_000);
  assertInOrderPerCard(receiver.accepted);
  await until(async () => await lag('patient') === 0, 'its cursors are at the heads', 30_000);
  // The shard that makes tenants finds the server again by itself; commands are refused until then.
  await until(async () => (await service.tryCommand('tenant', 'create', 'spare', '--data', service.data)).status === 0, 'tenants can be made again', 30_000);
});

// What waits for what, and in which order, is settled by a session that has the row of the webhook's cursors: first the deletion
// comes to it, then what became of a delivery.
test('a tenant is deleted while its webhook is being recorded, and neither ends the other', async () => {
  const shorter = await service.tenant('shorter');
  const answers = [];
  const receiver = await Receiver.start(() => new Promise((resolve) => answers.push(resolve)));
  await service.command('webhooks', 'add', 'slow', '--url', receiver.url, '--tenant', 'shorter');
  await service.issue('shorter', shorter);
  await until(() => answers.length > 0, 'a delivery is under way');
  const waiting = (condition) => until(async () => await postgres.sql(`SELECT count(*) FROM pg_stat_activity WHERE ${condition}`) !== '0', condition);
  const held = postgres.hold("BEGIN; SELECT 1 FROM consumer WHERE tenant = 'shorter' FOR UPDATE; SELECT pg_sleep(60)", 'digitalcard');
  await waiting("wait_event = 'PgSleep'");
  const deleted = service.tryCommand('tenant', 'delete', 'shorter', '--yes', '--data', service.data);
  await waiting("wait_event_type = 'Lock' AND query LIKE 'DELETE FROM consumer%'");
  for (const answer of answers) answer(200);
  await waiting("wait_event_type = 'Lock' AND query LIKE '%webhook%'");
  await postgres.endSleeping();
  await held;
  assert.deepEqual((({ status, stderr }) => ({ status, stderr }))(await deleted), { status: 0, stderr: '' });
  assert.ok(!service.log.includes('40P01'), 'no deadlock');
  assert.equal(await postgres.sql("SELECT (SELECT count(*) FROM consumer WHERE tenant = 'shorter') + (SELECT count(*) FROM webhook WHERE tenant = 'shorter')", 'digitalcard'), '0');
});

test('a tenant that is made anew shares nothing with the one before', () => namesakes(service));
