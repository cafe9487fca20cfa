// Feature flags: changed by the command line while the service runs, seen within a second, per tenant and card.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { Service, until } from './service.mjs';

let service;
const tokens = {};

before(async () => {
  service = await Service.start();
  for (const tenant of ['acme', 'alpine']) tokens[tenant] = await service.tenant(tenant);
});
after(() => service.destroy());

async function names(tenant, cards) {
  const seen = [];
  for (const card of cards) {
    const verdict = (await service.scan(tenant, tokens[tenant], card.qr.text)).body;
    assert.equal(verdict.result, 'valid');
    seen.push(verdict.card.holder_name);
  }
  return seen;
}

async function issue(tenant, count) {
  const cards = [];
  for (let i = 0; i < count; i++) cards.push(await service.issue(tenant, tokens[tenant], { member_id: `m-${i}`, holder_name: `Ada ${i}` }));
  return cards;
}

test('a flag is set, seen soon, for one tenant only, and gone when it is unset', async (t) => {
  const [card] = await issue('acme', 1);
  const [other] = await issue('alpine', 1);
  assert.deepEqual(await names('acme', [card]), ['Ada 0']);
  await service.command('flag', 'set', 'verdict_hides_holder', '--tenant', 'acme');
  const set = performance.now();
  await until(async () => (await names('acme', [card]))[0] === null, 'the flag is on');
  t.diagnostic(`seen ${Math.round(performance.now() - set)} ms after it was set (promised: a second)`);
  assert.deepEqual(await names('alpine', [other]), ['Ada 0']);
  // Those who may see the card still do: the flag is about gates.
  assert.equal((await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token: tokens.acme })).body.holder_name, 'Ada 0');
  const listed = JSON.parse(await service.command('flag', 'list', '--json'));
  assert.deepEqual(listed.flags.map(({ tenant, name, percent }) => ({ tenant, name, percent })),
    [{ tenant: 'acme', name: 'verdict_hides_holder', percent: 100 }]);
  await service.command('flag', 'unset', 'verdict_hides_holder', '--tenant', 'acme');
  await until(async () => (await names('acme', [card]))[0] === 'Ada 0', 'the flag is off');
  assert.equal(JSON.parse(await service.command('flag', 'list', '--json')).flags.length, 0);
});

test('a share of the cards has it, the same ones each time and after a restart, and keeps it when the share grows', async () => {
  const cards = await issue('alpine', 60);
  await service.command('flag', 'set', 'verdict_hides_holder', '--tenant', 'alpine', '--percent', '50');
  await until(async () => (await names('alpine', cards)).includes(null), 'the flag is on for some');
  const half = await names('alpine', cards);
  const hidden = half.filter((name) => name === null).length;
  assert.ok(hidden > 10 && hidden < 50, `${hidden} of 60`);
  assert.deepEqual(await names('alpine', cards), half);
  await service.stop();
  await service.spawn();
  assert.deepEqual(await names('alpine', cards), half);
  await service.command('flag', 'set', 'verdict_hides_holder', '--tenant', 'alpine', '--percent', '80');
  await until(async () => (await names('alpine', cards)).filter((name) => name === null).length > hidden, 'more have it');
  const more = await names('alpine', cards);
  half.forEach((name, i) => assert.ok(name !== null || more[i] === null));
});

test('subscribers of the tenant, and of no other, are told: sequence null, no replay', async () => {
  const sockets = Object.fromEntries(['acme', 'alpine'].map((tenant) => {
    const socket = new zmq.Subscriber({ linger: 0, receiveTimeout: 10_000 });
    socket.connect(service.events);
    socket.subscribe(`digitalcard.${tenant}.`);
    return [tenant, socket];
  }));
  const receive = async (tenant, name) => {
    for (;;) {
      const [topic, header, body] = await sockets[tenant].receive();
      assert.ok(topic.toString().startsWith(`digitalcard.${tenant}.`));
      if (topic.toString().endsWith(`.${name}`)) return { header: decode(header), body: decode(body) };
    }
  };
  await receive('acme', 'Head');
  await receive('alpine', 'Head');
  await service.command('flag', 'set', 'verdict_hides_holder', '--tenant', 'acme', '--percent', '25');
  const { header, body } = await receive('acme', 'FlagChanged');
  assert.deepEqual(body, { flag: 'verdict_hides_holder', percent: 25 });
  assert.equal(header.sequence, null);
  assert.equal(header.card, null);
  assert.equal(header.tenant, 'acme');
  assert.equal(header.name, 'FlagChanged');
  await service.command('flag', 'unset', 'verdict_hides_holder', '--tenant', 'acme');
  assert.equal((await receive('acme', 'FlagChanged')).body.percent, null);
  await service.command('flag', 'set', 'verdict_hides_holder', '--tenant', 'alpine', '--percent', '1');
  // Its own only: acme's 25 and null were not for it. The last change of the test before may still be told.
  let { percent } = (await receive('alpine', 'FlagChanged')).body;
  if (percent === 80) ({ percent } = (await receive('alpine', 'FlagChanged')).body);
  assert.equal(percent, 1);
  for (const socket of Object.values(sockets)) socket.close();
});

test('what cannot be set is refused with one line', async () => {
  const data = ['--data', service.data];
  const refused = async (status, ...words) => {
    const answer = await service.tryCommand('flag', ...words, ...data);
    assert.equal(answer.status, status, answer.stderr);
    assert.match(answer.stderr, /^digitalcard: .+\n$/);
  };
  await refused(1, 'set', 'no_such_flag', '--tenant', 'acme');
  await refused(1, 'set', 'verdict_hides_holder', '--tenant', 'nobody');
  await refused(1, 'set', 'verdict_hides_holder', '--tenant', 'acme', '--percent', '101');
  await refused(1, 'unset', 'verdict_hides_holder', '--tenant', 'acme');
  await refused(2, 'set', 'verdict_hides_holder');
});

test('without a running service the command line changes it itself', async () => {
  const [card] = await issue('acme', 1);
  await service.stop();
  await service.command('flag', 'set', 'verdict_hides_holder', '--tenant', 'acme');
  await service.spawn();
  assert.deepEqual(await names('acme', [card]), [null]);
});
