// What an operator meets at night: the log says what to do, and nothing is lost.
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Service, killRole, roles, until } from './service.mjs';

test('signals that scripts send after rotating logs end nobody', async () => {
  const service = await Service.start({ arguments: ['--shards', '1'] });
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const pids = (await service.tree()).roles.map((role) => role.pid);
    for (const signal of ['SIGUSR1', 'SIGUSR2']) {
      service.process.kill(signal);
      for (const pid of pids) process.kill(pid, signal);
    }
    assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
    assert.deepEqual((await service.tree()).roles.map((role) => [role.pid, role.restarts]), pids.map((pid) => [pid, 0]));
  } finally {
    await service.destroy();
  }
});

test('a master key that is gone is named in the log; put back, everything is there', async () => {
  const service = await Service.start({ arguments: ['--shards', '1'] });
  try {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const key = path.join(service.data, 'master.key');
    renameSync(key, `${key}.away`);
    await killRole(service, 'shard-0');
    await until(() => service.log.includes('the master key is missing: put its copy back as master.key, mode 0600'), 'the log names it', 30_000);
    renameSync(`${key}.away`, key);
    await service.stop();
    await service.spawn();
    assert.equal(roles(await service.tree())['shard-0'].state, 'ready');
    assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  } finally {
    await service.destroy();
  }
});
