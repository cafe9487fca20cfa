// What attackers tried and got: each of these once worked against the service.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ApiClient, EventFollower } from './clients.mjs';
import { BINARY, Service, roles, run, until } from './service.mjs';

let service;
before(async () => { service = await Service.start(); });
after(() => service.destroy());

test('a token of a deleted tenant does not open the next tenant of that name', async () => {
  const old = await service.tenant('again');
  const card = await service.issue('again', old);
  await service.command('tenant', 'delete', 'again', '--yes');
  await until(async () => (await service.scan('again', old, card.qr.text)).status === 404, 'the tenant is gone');
  const fresh = await service.tenant('again');
  const reply = await service.request('GET', '/again/api/v1/cards', { token: old });
  assert.equal(reply.status, 401, `${reply.raw}`);
  assert.equal(reply.body.code, 'unauthenticated');
  const api = new ApiClient(service.api, 'again', old);
  assert.equal((await api.ask('card.list', {})).body.code, 'unauthenticated');
  api.close();
  assert.equal((await service.scan('again', fresh, card.qr.text)).body.reason, 'bad_signature');
});

// ZMTP 3 by hand: no library sends so many subscriptions without losing some of them itself.
function greedySubscriber(port, count) {
  const greeting = Buffer.concat([Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]), Buffer.from('NULL'.padEnd(20, '\0')), Buffer.alloc(32)]);
  const ready = Buffer.concat([Buffer.from([5]), Buffer.from('READY'), Buffer.from([11]), Buffer.from('Socket-Type'), Buffer.from([0, 0, 0, 3]), Buffer.from('SUB')]);
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(Buffer.concat([greeting, Buffer.from([4, ready.length]), ready]));
  let heard = 0; // the other side's greeting and READY: only then does it listen to subscriptions
  socket.on('data', (part) => {
    const before = heard;
    heard += part.length;
    for (let i = 0; before <= 64 && heard > 64 && i < count; i++) {
      const prefix = Buffer.from(`digitalcard.nobody.x${i}`);
      socket.write(Buffer.concat([Buffer.from([0, prefix.length + 1, 1]), prefix]));
    }
  });
  return socket;
}

test('a subscriber with 6,000 prefixes does not take the heads from the others', async () => {
  const token = await service.tenant('heads');
  await service.issue('heads', token);
  const greedy = greedySubscriber(service.ports.events, 6_000);
  await until(async () => Number(/^digitalcard_relay_subscriptions\{[^}]*\} (\d+)/m.exec((await service.request('GET', '/metrics')).raw)?.[1]) >= 4096,
    'the table of subscriptions is full', 10_000);
  const follower = new EventFollower(service.events, 'heads');
  await follower.ready();
  follower.close();
  greedy.destroy();
});

test('too few open files are said at once', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
  await assert.rejects(run('bash', ['-c', 'ulimit -n 64; exec "$@"', 'x', BINARY, 'serve', '--data', data, '--http', '127.0.0.1:0']), (error) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /^digitalcard: only 64 files may be open at once \(ulimit -n\): at least \d+ are needed\n$/);
    return true;
  });
  rmSync(data, { recursive: true, force: true });
});

test('events of what is no tenant are refused, not waited for', async () => {
  const reply = await service.tryCommand('events', 'tail', '--tenant', '../x', '--data', service.data);
  assert.equal(reply.status, 2);
  assert.match(reply.stderr, /no name of a tenant/);
});

test('a password in a URL that is refused is not told', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
  for (const [flag, url] of [['--membership-url', 'acme=http://me:hunter2@members.example'],
    ['--membership-url', 'me:hunter2@h/?x=http://y'], ['--membership-events', 'me:hunter2://x@h'], ['--membership-events', 'udp:hunter2@members.example'],
    ['--store', 'postgres:me:hunter2@db.example'], ['--redis', 'rediss://me:hunter2@cache.example']]) {
    const reply = await service.tryCommand('serve', '--data', data, '--http', '127.0.0.1:0', flag, url);
    assert.ok(reply.status === 1 || reply.status === 2, `${flag}: ${reply.status}`);
    assert.ok(reply.stderr.includes(flag), reply.stderr);
    assert.ok(!reply.stderr.includes('hunter2'), reply.stderr);
  }
  rmSync(data, { recursive: true });
});

test('the role that speaks to the world gets no password of a store or a neighbour', async () => {
  const guarded = await Service.start({ arguments: ['--shards', '1', '--membership-url', 'http://127.0.0.1:9/?key=hunter2'] });
  try {
    const environment = (pid) => readFileSync(`/proc/${pid}/environ`, 'utf8');
    const found = roles(await guarded.tree());
    assert.doesNotMatch(environment(found['front-0'].pid), /hunter2|DIGITALCARD_STORE=/);
    assert.match(environment(found.adapters.pid), /hunter2/);
    assert.match(environment(found['shard-0'].pid), /DIGITALCARD_STORE=sqlite/);
    // Nor does a successor: a planned restart is another way to start it.
    guarded.process.kill('SIGHUP');
    const successor = await until(async () => {
      const role = roles(await guarded.tree())['front-0'];
      return role.state === 'ready' && role.pid !== found['front-0'].pid ? role.pid : null;
    }, 'the front was restarted', 30_000);
    assert.doesNotMatch(environment(successor), /hunter2|DIGITALCARD_STORE=/);
  } finally {
    await guarded.destroy();
  }
});

test('a data directory that everybody may write into is refused', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
  chmodSync(data, 0o777);
  const reply = await service.tryCommand('tenant', 'create', 'acme', '--data', data);
  assert.equal(reply.status, 1);
  assert.match(reply.stderr, /can be written by every user of this machine/);
  rmSync(data, { recursive: true });
});

test('a lock file that was removed lets no second service in', async () => {
  rmSync(path.join(service.data, 'lock'));
  const reply = await service.tryCommand('serve', '--data', service.data, '--http', '127.0.0.1:0', '--api', 'ipc://second-api', '--events', 'ipc://second-events');
  assert.equal(reply.status, 1);
  assert.match(reply.stderr, /in use by another process, whose file \S+ was removed/);
});

test('texts with control characters beyond ASCII, empty keys and webhooks that can never be called are refused', async () => {
  const token = await service.tenant('strict');
  const card = await service.issue('strict', token);
  for (const text of ['a\u0085b', 'a\u009b31mb']) {
    const reply = await service.request('POST', '/strict/api/v1/cards', { token, body: { member_id: text, expires_at: '2035-01-01T00:00:00Z' } });
    assert.equal(reply.body.code, 'invalid_body', `${reply.raw}`);
  }
  for (const url of ['https:///in', 'https://crm.example:0/', 'https://[fe80::1%25eth0]/']) {
    const reply = await service.request('POST', '/strict/api/v1/webhooks', { token, body: { name: 'crm', url } });
    assert.equal(reply.body.code, 'invalid_body', `${reply.raw}`);
  }
  const api = new ApiClient(service.api, 'strict', token);
  const reply = await api.ask('card.suspend', { id: card.id }, { key: '' });
  api.close();
  assert.equal(reply.body.code, 'invalid_parameter', JSON.stringify(reply.body));
  assert.equal((await service.request('GET', `/strict/api/v1/cards/${card.id}`, { token })).body.status, 'active');
});
