// A token that is revoked is refused within a second, on every way in, after restarts, and by other nodes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { BINARY, Service, until } from './service.mjs';
import { ApiClient } from './clients.mjs';

let service;
let admin;

before(async () => {
  service = await Service.start();
  admin = await service.tenant('acme');
});
after(() => service.destroy());

const list = (token) => service.request('GET', '/acme/api/v1/cards?limit=1', { token });

async function refused(token) {
  const reply = await list(token);
  assert.equal(reply.status, 401);
  assert.match(reply.body.detail, /revoked/);
}

test('a revoked token is refused soon and others are not', async (t) => {
  const stolen = await service.token('acme', 'auditor', '--ttl', '3600', '--subject', 'lost-tablet');
  assert.equal((await list(stolen)).status, 200);
  const said = await service.command('token', 'revoke', stolen);
  assert.match(said, /lost-tablet/);
  const revoked = performance.now();
  await until(async () => (await list(stolen)).status === 401, 'the token is refused');
  t.diagnostic(`refused ${Math.round(performance.now() - revoked)} ms after it was revoked (promised: a second)`);
  await refused(stolen);
  const api = new ApiClient(service.api, 'acme', stolen);
  const reply = await api.ask('card.list', {});
  assert.equal(reply.type, 'error');
  assert.equal(reply.body.status, 401);
  api.close();
  assert.equal((await list(admin)).status, 200);
  await service.command('token', 'revoke', stolen); // again: nothing more happens
  await service.stop('SIGKILL');
  await service.spawn();
  await refused(stolen);
  assert.equal((await list(admin)).status, 200);
  assert.ok(!service.log.includes(stolen));
});

test('the token can be given on standard input, where nobody sees it', async () => {
  const token = await service.token('acme', 'auditor', '--ttl', '3600');
  const child = spawn(BINARY, ['token', 'revoke', '-', '--data', service.data], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(`${token}\n`);
  assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
  await until(async () => (await list(token)).status === 401, 'the token is refused');
});

test('what is no token of ours is not kept', async () => {
  for (const nonsense of ['x', 'a.b.c', `${admin.slice(0, -4)}AAAA`, '']) {
    const answer = await service.tryCommand('token', 'revoke', nonsense, '--data', service.data);
    assert.equal(answer.status, 1);
    assert.match(answer.stderr, /nothing to revoke/);
  }
});
