// No role leaks: the whole tree under valgrind, some work, a clean stop; valgrind's exit status says whether memory was lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApiClient, EventFollower } from './clients.mjs';
import { Service } from './service.mjs';

test('after a clean stop of each role valgrind reports no leak and no error', { timeout: 280_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-leaks-'));
  const wrapper = ['valgrind', '--quiet', '--trace-children=yes', '--leak-check=full', '--show-leak-kinds=definite,indirect,possible',
    '--errors-for-leak-kinds=definite,indirect', `--log-file=${folder}/valgrind.%p`];
  const service = await Service.start({ wrapper, arguments: ['--shards', '1'] });
  try {
    const token = await service.tenant('acme');
    const client = new ApiClient(service.api, 'acme', token);
    const follower = new EventFollower(service.events, 'acme');
    await follower.ready();
    const card = await service.issue('acme', token, { holder_name: 'Ada', tier: 'gold' });
    for (let index = 0; index < 30; index += 1) {
      await service.scan('acme', token, card.qr.text);
      await client.ask('card.validate', { id: card.id, gate: 'g' }, { key: `key-${index % 10}` });
      await service.scan('acme', token, 'DC1:FORGED');
      await service.request('POST', '/acme/api/v1/cards', { token, body: '{"member_id":' });
      await service.request('GET', `/acme/api/v1/cards/00000000-0000-7000-8000-00000000000${index % 10}`, { token });
    }
    await service.act('acme', token, card.id, 'replace');
    await service.request('GET', `/acme/api/v1/cards/${card.id}/qr.png`, { token });
    await service.request('GET', '/acme/api/v1/cards', { token });
    await service.request('GET', `/acme/api/v1/cards/${card.id}/history`, { token });
    await service.request('GET', '/metrics');
    await service.tree();
    client.close();
    follower.close();
    assert.deepEqual(await service.stop(), { code: 0, signal: null });
    const files = readdirSync(folder);
    assert.ok(files.length >= 4, 'supervisor, front, shard and relay each wrote a log');
    for (const name of files) assert.equal(readFileSync(path.join(folder, name), 'utf8').trim(), '', name);
    t.diagnostic(`${files.length} processes without a leak`);
  } finally {
    await service.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
});
