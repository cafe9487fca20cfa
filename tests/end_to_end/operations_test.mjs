// What an operator does and sees: start, stop, kill, a second start, ports in use, no rights, tree and top, health and metrics.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BINARY, Service, freePort, roles, run, until } from './service.mjs';

async function withService(options, body) {
  const service = await Service.start(options);
  try {
    await body(service);
  } finally {
    await service.destroy();
  }
}

function oneClearLine(result, pattern) {
  assert.equal(result.status, 1, JSON.stringify(result));
  const lines = result.stderr.trim().split('\n').filter((line) => line.length > 0);
  assert.equal(lines.length, 1, result.stderr);
  assert.match(lines[0], pattern);
}

test('a clean stop ends every process with status 0, and the next start has the card', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const pids = (await service.tree()).roles.map((role) => role.pid);
    assert.deepEqual(await service.stop('SIGINT'), { code: 0, signal: null });
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/);
    await service.spawn();
    assert.equal((await service.request('GET', `/acme/api/v1/cards/${card.id}`, { token })).body.id, card.id);
    assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  });
});

test('kill -9 of the supervisor leaves no orphan, and the next start works', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const pids = (await service.tree()).roles.map((role) => role.pid);
    await service.stop('SIGKILL');
    await until(() => pids.every((pid) => { try { process.kill(pid, 0); return false; } catch { return true; } }), 'all roles are gone');
    await service.spawn();
    assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
  });
});

test('kill -9 of each role: it comes back, the card still passes, the tree counts the restart', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    for (const { name, pid } of (await service.tree()).roles) {
      process.kill(pid, 'SIGKILL');
      const back = await until(async () => {
        const role = roles(await service.tree())[name];
        return role.state === 'ready' && role.pid !== pid ? role : null;
      }, `${name} is back`);
      assert.equal(back.restarts, 1);
      assert.match(JSON.stringify(back.last_exit), /KILL/);
      await until(async () => (await service.scan('acme', token, card.qr.text).catch(() => null))?.body?.reason === 'valid', 'the gate answers');
    }
  });
});

test('SIGHUP restarts the roles one by one and keeps the data', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    const before = roles(await service.tree());
    service.process.kill('SIGHUP');
    await until(async () => {
      const now = roles(await service.tree().catch(() => ({ roles: [] })));
      return Object.keys(before).every((name) => now[name]?.state === 'ready' && now[name].pid !== before[name].pid);
    }, 'all roles are new', 30_000);
    await until(async () => (await service.scan('acme', token, card.qr.text).catch(() => null))?.body?.reason === 'valid', 'the gate answers');
  });
});

test('a second serve on one data directory says so in one line', async () => {
  await withService({}, async (service) => {
    const result = await service.tryCommand('serve', '--data', service.data, '--http', `127.0.0.1:${await freePort()}`,
      '--api', `tcp://127.0.0.1:${await freePort()}`, '--events', `tcp://127.0.0.1:${await freePort()}`);
    oneClearLine(result, /in use/);
  });
});

for (const [flag, endpoint] of [['--http', (port) => `127.0.0.1:${port}`], ['--api', (port) => `tcp://127.0.0.1:${port}`], ['--events', (port) => `tcp://127.0.0.1:${port}`]]) {
  test(`a port in use for ${flag} is one clear line`, async () => {
    const taken = createServer();
    await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
    const words = { '--http': `127.0.0.1:${await freePort()}`, '--api': `tcp://127.0.0.1:${await freePort()}`, '--events': `tcp://127.0.0.1:${await freePort()}` };
    const { port } = taken.address();
    words[flag] = endpoint(port);
    try {
      const result = await Service.prototype.tryCommand('serve', '--data', data, ...Object.entries(words).flat());
      oneClearLine(result, new RegExp(`in use.*${port}|${port}.*in use`));
    } finally {
      taken.close();
      rmSync(data, { recursive: true });
    }
  });
}

test('an unwritable data directory is one clear line', async () => {
  // A file where the directory should be: refuses root too, who may write anywhere.
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-'));
  const data = path.join(folder, 'file');
  writeFileSync(data, 'x');
  oneClearLine(await Service.prototype.tryCommand('serve', '--data', data), /director/);
  oneClearLine(await Service.prototype.tryCommand('serve', '--data', '/proc/digitalcard'), /director/);
  rmSync(folder, { recursive: true });
});

test('a public address for the API or the events is refused until CURVE exists', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
  for (const flag of ['--api', '--events']) {
    oneClearLine(await Service.prototype.tryCommand('serve', '--data', data, flag, 'tcp://0.0.0.0:5999'), /loopback/);
  }
  rmSync(data, { recursive: true });
});

test('secrets and sockets belong to their owner alone', async () => {
  await withService({}, async (service) => {
    await service.tenant('acme');
    const mode = (name) => statSync(path.join(service.data, name)).mode & 0o777;
    assert.equal(mode('master.key'), 0o600);
    assert.equal(mode('control.sock'), 0o600);
    assert.equal(statSync(service.data).mode & 0o077, 0);
    await service.stop();
    chmodSync(path.join(service.data, 'master.key'), 0o644);
    oneClearLine(await service.tryCommand('serve', '--data', service.data), /master\.key/);
    chmodSync(path.join(service.data, 'master.key'), 0o600);
  });
});

test('tenants are made, listed, shown and deleted, with and without a running service', async () => {
  await withService({}, async (service) => {
    for (const name of ['Acme', '..', 'a/b', 'a', 'metrics', 'a'.repeat(300)]) {
      const result = await service.tryCommand('tenant', 'create', name, '--data', service.data);
      assert.notEqual(result.status, 0, name);
    }
    await service.tenant('acme');
    assert.equal((await service.tryCommand('tenant', 'create', 'acme', '--data', service.data)).status, 1);
    await service.stop();
    await service.command('tenant', 'create', 'offline');
    const listed = JSON.parse(await service.command('tenant', 'list', '--json'));
    assert.match(JSON.stringify(listed), /acme.*offline/);
    await service.spawn();
    const token = await service.token('offline');
    await until(async () => (await service.request('GET', '/offline/api/v1/cards', { token })).status === 200, 'offline tenant is served');
    const card = await service.issue('offline', token);
    assert.notEqual((await service.tryCommand('tenant', 'delete', 'offline', '--data', service.data)).status, 0, 'needs --yes');
    const { backup } = JSON.parse(await service.command('tenant', 'delete', 'offline', '--yes', '--json'));
    assert.equal(path.dirname(backup), path.join(realpathSync(service.data), 'deleted'));
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    await until(async () => (await service.request('GET', `/offline/api/v1/cards/${card.id}`, { token })).status === 404, 'a deleted tenant is gone');
    assert.equal(readdirSync(path.join(service.data, 'deleted')).filter((name) => /^offline-.*Z\.(db|dcb)$/.test(name)).length, 2, 'journal and backup');
    await service.command('store', 'restore', '--tenant', 'offline', backup);
    const again = await service.token('offline');
    await until(async () => (await service.request('GET', `/offline/api/v1/cards/${card.id}`, { token: again })).status === 200, 'the backup brings it back');

    // A plain file where the folder for backups should be: nothing is deleted.
    await service.command('tenant', 'create', 'kept');
    rmSync(path.join(service.data, 'deleted'), { recursive: true });
    writeFileSync(path.join(service.data, 'deleted'), '');
    const refused = await service.tryCommand('tenant', 'delete', 'kept', '--yes', '--data', service.data);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /kept was not deleted, because no backup of it could be made/);
    assert.match(await service.command('tenant', 'list'), /kept/);
  });
});

test('a malformed value of a setting exits 2 with one line, wherever it comes from', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
  const config = path.join(data, 'digitalcard.yaml');
  writeFileSync(config, 'shards: many\n');
  const words = [['--http', 'nowhere'], ['--http', '127.0.0.1:99999'], ['--api', 'udp://x'], ['--events', 'tcp://name:1'], ['--shards', '0'],
    ['--shards', 'x'], ['--log-level', 'loud'], ['--watchdog-ms', '1'], ['--store', 'paper'], ['--config', config]];
  for (const line of words) {
    const result = await Service.prototype.tryCommand('serve', '--data', data, ...line);
    assert.equal(result.status, 2, JSON.stringify(result));
    assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  }
  assert.equal((await Service.prototype.tryCommand('tenant', 'list', '--store', 'paper', '--data', data)).status, 2);
  assert.equal((await Service.prototype.tryCommand('serve', '--config', path.join(data, 'none.yaml'))).status, 1, 'a file that is not there');
  rmSync(data, { recursive: true });
});

test('usage errors exit 2, help exits 0', async () => {
  const words = [['nonsense'], ['tenant'], ['tenant', 'create'], ['token', 'mint', '--role', 'emperor', '--tenant', 'x'], ['serve', '--nonsense']];
  for (const line of words) assert.equal((await Service.prototype.tryCommand(...line)).status, 2, line.join(' '));
  for (const line of [['--help'], ['serve', '--help'], ['tenant', '--help'], ['token', 'mint', '--help'], ['tree', '--help'], ['version']]) {
    const result = await Service.prototype.tryCommand(...line);
    assert.equal(result.status, 0, line.join(' '));
    assert.ok(result.stdout.length > 0);
  }
});

test('health, detail, metrics and their aliases answer', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    await service.scan('acme', token, card.qr.text);
    for (const target of ['/health/live', '/health/ready', '/health/digitalcard', '/health/digitalcard/liveness', '/health/digitalcard/readiness']) {
      assert.equal((await service.request('GET', target)).status, 200, target);
    }
    for (const target of ['/metrics', '/metrics/digitalcard']) {
      const reply = await service.request('GET', target);
      assert.equal(reply.status, 200);
      const text = reply.raw.toString();
      assert.match(text, /^# HELP /m);
      assert.match(text, /role="shard-0"/);
      assert.match(text, /role="front-0"/);
      for (const name of ['channel_envelopes', 'zmq_messages']) assert.match(text, new RegExp(`digitalcard_${name}_dropped_total\\{role="relay"\\} 0`));
      assert.ok(!text.includes('acme'), 'no tenant in labels');
      const families = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
      assert.equal(new Set(families).size, families.length, 'each family once');
    }
  });
});

test('tree and top work on a loaded service', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token);
    let running = true;
    const load = Promise.all(Array.from({ length: 8 }, async () => { while (running) await service.scan('acme', token, card.qr.text); }));
    const { stdout: tree } = await run(BINARY, ['tree', '--data', service.data]);
    assert.match(tree, /front-0[\s\S]*shard-0[\s\S]*relay/);
    assert.match(tree, /restarts?/i);
    const { stdout: top } = await run(BINARY, ['top', '--once', '--data', service.data]);
    assert.match(top, /shard-0/);
    assert.ok(Number(/^front-0 +\w+ +\d+ +[\d.]+ +(\d+)/m.exec(top)?.[1]) > 0, top);
    for (const key of ['m', 't', 'M', 'mailbox', 'busy']) {
      const { stdout } = await run(BINARY, ['top', '--once', '--sort', key, '--data', service.data]);
      assert.match(stdout, /P99 us[\s\S]*shard-0/);
    }
    const { stdout: followed } = await run(BINARY, ['top', '--once', '--follow', `acme/${card.id}`, '--data', service.data]);
    assert.match(followed, /active +shard-\d+ +mailbox \d+ .*messages \d+ \([1-9]\d*\/s\).*version \d+/);
    const unknown = await service.tryCommand('top', '--once', '--follow', `nobody/${'x'.repeat(36)}`, '--data', service.data);
    assert.equal(unknown.status, 1);
    assert.equal((await service.tryCommand('top', '--once', '--sort', 'x', '--data', service.data)).status, 2);
    running = false;
    await load;
    const shard = roles(await service.tree())['shard-0'];
    assert.ok(shard.status.actors.some((kind) => kind.kind === 'card' && kind.active >= 1 && kind.handler_us_p99 >= kind.handler_us_p50), JSON.stringify(shard.status));
  });
});

// Refused with EAGAIN while the kernel's queue is full of those not yet accepted.
async function connected(where) {
  return until(() => new Promise((resolve) => {
    const socket = connect(where, () => { socket.removeAllListeners('error').on('error', () => {}); resolve(socket); });
    socket.once('error', () => resolve(null));
  }), `a connection to ${where}`);
}

test('programs that stay connected to the control socket and ask for nothing lock no operator out', async () => {
  await withService({}, async (service) => {
    const idle = [];
    try {
      while (idle.length < 80) {
        idle.push(await connected(path.join(service.data, 'control.sock')));
        if (idle.length % 2 === 1) idle.at(-1).write('{"command":'); // half a line is as idle as none
      }
      await until(async () => (await service.tree()).service.ready, 'the tree says ready', 10_000);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });
});

test('a removed control.sock is made again, and a supervisor that is stopped is named', async () => {
  await withService({}, async (service) => {
    const before = (await service.tree()).roles.map((role) => role.pid);
    rmSync(path.join(service.data, 'control.sock'));
    const answer = await until(async () => {
      const tree = await service.tryCommand('tree', '--json', '--data', service.data);
      return tree.status === 0 ? JSON.parse(tree.stdout) : null;
    }, 'the socket is there again', 20_000);
    assert.deepEqual(answer.roles.map((role) => role.pid), before);
    const pid = service.process.pid;
    process.kill(pid, 'SIGSTOP');
    try {
      oneClearLine(await service.tryCommand('tree', '--data', service.data), new RegExp(`its process ${pid} is stopped .*kill -CONT ${pid}`));
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    assert.equal((await service.tree()).service.ready, true);
  });
});

test('whatever has taken the place of control.sock makes room for it, but a directory only when it is removed', async () => {
  await withService({}, async (service) => {
    const socket = path.join(service.data, 'control.sock');
    const answers = () => until(async () => (await service.tryCommand('tree', '--data', service.data)).status === 0, 'the socket is there again', 20_000);
    const clear = () => rmSync(socket, { recursive: true, force: true });
    clear();
    writeFileSync(socket, 'a copy of something');
    await answers();
    clear();
    symlinkSync(path.join(service.data, 'master.key'), socket);
    await answers();
    assert.equal(lstatSync(path.join(service.data, 'master.key')).isFile(), true);
    const other = createServer();
    clear();
    await new Promise((resolve) => other.listen(socket, resolve));
    await answers();
    other.close();
    await answers(); // closing a socket removes what has its name
    clear();
    mkdirSync(socket);
    await until(() => service.log.includes('control.sock of the data directory is gone and cannot be made again'), 'it is told', 20_000);
    rmdirSync(socket);
    await answers();
  });
});

test('tree without a service is one clear line', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'dc-'));
  oneClearLine(await Service.prototype.tryCommand('tree', '--data', data), /no service|not running/i);
  rmSync(data, { recursive: true });
});

test('the log is JSON lines without tokens, names or codes', async () => {
  await withService({}, async (service) => {
    const token = await service.tenant('acme');
    const card = await service.issue('acme', token, { holder_name: 'Very Secret' });
    await service.scan('acme', token, card.qr.text);
    await service.scan('acme', token, `${card.qr.text}X`);
    await service.stop();
    const lines = service.log.trim().split('\n').filter((line) => !line.startsWith('digitalcard is ready'));
    assert.ok(lines.length > 0);
    for (const line of lines) {
      const entry = JSON.parse(line);
      assert.ok(entry.time && entry.level && entry.role && entry.message, line);
    }
    for (const secret of ['Very Secret', token, card.qr.text]) assert.ok(!service.log.includes(secret));
  });
});
