// The cards of a member whose membership ends while one of them is quarantined, on the binary whose handlers fail on purpose
// (tests/support/poison.c): the others follow at once, the quarantined one is not forgotten, and who looks is told what to do.
// And an adapter that breaks: it is restarted alone.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { decode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { QUICK, inParallel } from './membership_cases.mjs';
import { Membership } from '../peers/membership.mjs';
import { Service, killRole, metricOf, roles, until } from './service.mjs';

const MEMBER = 'stored-poison';
const CARDS = 70; // more than are worked on at a time

test('a quarantined card holds up no other card of its member, and follows when it is let in again', async (t) => {
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*' });
  const service = await Service.start({ arguments: ['--shards', '1', '--membership-url', context.url, '--membership-events', context.events, '--breaker', QUICK] });
  const subscriber = new zmq.Subscriber({ linger: 0 });
  t.after(async () => { subscriber.close(); await service.destroy(); await context.stop(); });
  const token = await service.tenant('acme');
  context.member('acme', MEMBER);
  const cards = [];
  await inParallel(CARDS, 8, async (index) => { cards[index] = (await service.issue('acme', token, { member_id: MEMBER })).id; });
  const sick = cards[0];
  const reason = async (id, gate) => (await service.request('POST', `/acme/mapi/v1/cards/${id}/validate`, { token, body: { gate } })).body.reason;
  const status = async (id) => (await service.request('GET', `/acme/api/v1/cards/${id}`, { token })).body.status;
  const works = () => metricOf(service, 'digitalcard_member_works', 'role="shard-0"');
  const told = () => service.log.split('\n').filter((line) => line.includes('quarantined cards of a member') && line.includes('deadletters list'));

  // Whoever builds it from what is stored dies; nobody looks at the others meanwhile.
  const stored = path.join(service.data, 'run', 'poison-stored');
  writeFileSync(stored, '');
  await killRole(service, 'shard-0');
  let gate = 0;
  await until(async () => { gate += 1; return await reason(sick, `gate-${gate}`) === 'quarantined'; }, 'the card is quarantined', 30_000);
  rmSync(stored);

  const ends = [];
  subscriber.connect(service.events);
  subscriber.subscribe('digitalcard.acme.');
  (async () => { for await (const [topic, , body] of subscriber) ends.push([topic.toString(), decode(body)]); })().catch(() => {});
  await until(() => ends.length > 0, 'the subscription stands', 10_000); // heads come each second
  const revocations = () => ends.filter(([topic]) => topic === 'digitalcard.acme.CardsRevoked').map(([, body]) => body);

  const cancelled = context.happen('acme', 'cancel', MEMBER);
  for (const card of cards.slice(1)) await until(async () => await status(card) === 'revoked', 'the others are revoked', 30_000);
  await until(() => told().length > 0, 'the log says what to do', 30_000);
  assert.equal(JSON.parse(told()[0]).commands, 1);
  await until(async () => await works() === 1, 'the work is shown as not over', 10_000);
  await until(async () => roles(await service.tree())['shard-0'].status?.member_work?.revoke === 1, 'the tree shows it');
  const done = () => metricOf(service, 'digitalcard_member_cards_done_total', 'role="shard-0"', 'work="revoke"');
  await until(async () => await done() >= CARDS - 1, 'the others are counted', 10_000);
  assert.equal(await reason(sick, 'north'), 'quarantined');
  assert.deepEqual(revocations(), [], 'that all are revoked is told by nobody');

  // It is durable: the next shard knows that one is left.
  const before = told().length;
  await killRole(service, 'shard-0');
  await until(() => told().length > before, 'the successor says so too', 30_000);

  const [letter] = JSON.parse(await service.command('deadletters', 'list', '--json')).dead_letters;
  assert.equal(letter.card, sick);
  assert.match(await service.command('deadletters', 'replay', letter.id), /was replayed: ok/);
  await until(async () => await status(sick) === 'revoked', 'it follows once it is free', 90_000);
  await until(async () => await works() === 0, 'the work is over', 30_000);
  await until(() => revocations().length > 0, 'CardsRevoked', 30_000);
  for (const end of revocations()) assert.deepEqual(end, { member_id: MEMBER, count: CARDS, cancelled_at: cancelled.occurred_at });
});

test('an adapter that breaks is restarted alone, and its breaker opens when it breaks again and again', async (t) => {
  const context = await Membership.start({});
  const service = await Service.start({ arguments: ['--shards', '1', '--membership-url', context.url, '--breaker', QUICK] });
  t.after(async () => { await service.destroy(); await context.stop(); });
  const acme = await service.tenant('acme');
  const beta = await service.tenant('beta');
  const kind = async (name) => roles(await service.tree()).adapters.status.actors.find((entry) => entry.kind === name);
  const breaker = async () => JSON.parse(await service.command('breaker', 'list', '--json')).breakers
    .find((entry) => entry.tenant === 'acme' && entry.adapter === 'membership');
  context.member('beta', 'm-1');
  await service.issue('beta', beta, { member_id: 'm-1' });
  const before = roles(await service.tree()).adapters;

  let cards = 0;
  await until(async () => {
    cards += 1;
    await service.issue('acme', acme, { member_id: 'breaking-adapter' }); // by the policy: it could not be asked
    return (await kind('adapter')).restarts > 0;
  }, 'the adapter is restarted');
  await until(async () => {
    cards += 1;
    await service.issue('acme', acme, { member_id: 'breaking-adapter' });
    return (await breaker()).state === 'open';
  }, 'its breaker opens');
  assert.ok((await breaker()).last_error.length > 0);

  // Nobody else notices: the other tenant's context is asked, the breakers are those of before, so is the role.
  const asked = context.requests.member;
  context.member('beta', 'm-2');
  await service.issue('beta', beta, { member_id: 'm-2' });
  assert.ok(context.requests.member > asked, 'the other tenant\'s context is asked');
  assert.equal((await kind('breaker')).restarts, 0);
  const after = roles(await service.tree()).adapters;
  assert.equal(after.pid, before.pid);
  assert.match(await service.command('tree'), /actors adapter/);
  assert.equal(await metricOf(service, 'digitalcard_actors_active', 'role="adapters"', 'kind="breaker"'), 2);
});
