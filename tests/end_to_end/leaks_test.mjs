// No role leaks: the whole tree built with AddressSanitizer, some work, a clean stop. LeakSanitizer makes a role that lost
// memory exit with another status than 0 and writes a report. (valgrind cannot follow a role: it starts /proc/self/exe.)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApiClient, EventFollower } from './clients.mjs';
import { Service } from './service.mjs';

test('after a clean stop of each role no leak and no error is reported', { timeout: 280_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-leaks-'));
  const options = `detect_leaks=1:exitcode=23:log_path=${path.join(folder, 'report')}`;
  const wrapper = ['env', `ASAN_OPTIONS=${options}`, `UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=${path.join(folder, 'report')}`];
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
    const reports = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
    assert.deepEqual(reports, []);
    const ended = service.log.split('\n').filter((line) => line.includes('"role ended"')).map((line) => JSON.parse(line));
    assert.deepEqual(ended.map((entry) => entry.name).sort(), ['adapters', 'front-0', 'relay', 'shard-0']);
    for (const entry of ended) assert.match(entry.how, /status 0/, entry.name);
    t.diagnostic(`${ended.length + 1} processes without a leak`);
  } finally {
    await service.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
});
