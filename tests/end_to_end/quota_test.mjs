// Quotas of a tenant: set by the command line while the service runs, exact, told with limit and use.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service, until } from './service.mjs';

let service;
let token;

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme', '--max-cards', '2');
});
after(() => service.destroy());

const issue = () => service.request('POST', '/acme/api/v1/cards',
  { token, body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true } });

test('the quota of cards is exact, survives a restart, and can be raised while the service runs', async () => {
  assert.equal((await issue()).status, 201);
  const card = (await issue()).body;
  const refused = await issue();
  assert.equal(refused.status, 409);
  assert.equal(refused.body.code, 'quota_cards_exceeded');
  assert.match(refused.body.detail, /quota of cards of this tenant is 2, and 2 are in use/);
  const shard = (await service.tree()).roles.find((role) => role.name === 'shard-0');
  process.kill(shard.pid, 'SIGKILL');
  await until(async () => (await issue()).status === 409, 'the successor counts the same');
  assert.equal((await service.scan('acme', token, card.qr.text)).body.result, 'valid');
  await service.command('tenant', 'set', 'acme', '--max-cards', '3');
  await until(async () => (await issue()).status === 201, 'the new quota counts');
  assert.equal((await issue()).status, 409);
  const used = async () => JSON.parse(await service.command('tenant', 'show', 'acme', '--json')).tenant.usage;
  assert.equal((await used()).cards, 3);
  const revoked = await service.request('POST', `/acme/api/v1/cards/${card.id}/revoke`, { token, body: {} });
  assert.equal(revoked.status, 200);
  assert.equal((await used()).cards, 2);
  assert.equal((await issue()).status, 201, 'a card that has ended frees its place');
  assert.equal((await issue()).status, 409);
  assert.match(await service.command('tenant', 'show', 'acme'), /max cards +3, 3 in use\nmax storage +none, \d+ bytes in use\n/);
});

test('used-up storage is 507 for desks and nothing for doors; a rate beyond the quota is 429', async () => {
  const card = (await service.request('GET', '/acme/api/v1/cards', { token })).body.items[0];
  await service.command('tenant', 'set', 'acme', '--max-cards', '0', '--max-storage', '1');
  await until(async () => (await issue()).status === 507, 'no storage is left');
  assert.equal((await issue()).body.code, 'quota_storage_exceeded');
  assert.equal((await service.request('POST', `/acme/mapi/v1/cards/${card.id}/validate`, { token, body: { gate: 'north' } })).body.result, 'valid');
  await service.command('tenant', 'set', 'acme', '--max-storage', '0', '--max-rate', '1');
  const replies = [];
  await until(async () => {
    replies.push(await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token }));
    return replies.at(-1).status === 429;
  }, 'the rate is used up');
  assert.equal(replies.at(-1).body.code, 'quota_rate_exceeded');
  assert.equal(replies.at(-1).headers['retry-after'], '1');
});
