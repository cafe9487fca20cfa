// deploy/quickstart.sh as a person runs it: the three printed lines work as printed, Ctrl-C ends every process, the
// second start keeps the card. Installing and building are stood in for; the binary is the one that was built.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { BINARY, freePort, until } from './service.mjs';

const run = promisify(execFile);
const script = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../../deploy/quickstart.sh');

function place() {
  const root = mkdtempSync(path.join(tmpdir(), 'dc-quickstart-'));
  for (const folder of ['deploy', 'build', 'bin']) mkdirSync(path.join(root, folder));
  copyFileSync(script, path.join(root, 'deploy/quickstart.sh'));
  for (const stub of ['deploy/packages.sh', 'bin/cmake', 'bin/npm']) {
    writeFileSync(path.join(root, stub), '#!/bin/sh\nexit 0\n');
    chmodSync(path.join(root, stub), 0o755);
  }
  symlinkSync(BINARY, path.join(root, 'build/digitalcard'));
  return root;
}

async function start(root, environment, ...words) {
  const started = { output: '' };
  started.process = spawn('./deploy/quickstart.sh', words, { cwd: root, detached: true, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [started.process.stdout, started.process.stderr]) stream.on('data', (text) => { started.output += text; });
  started.exited = new Promise((resolve) => started.process.once('exit', (code, signal) => resolve({ code, signal })));
  started.exited.then(() => { started.ended = true; });
  await until(() => started.ended || started.output.includes('Ctrl-C ends everything'), 'the quickstart is ready', 30_000);
  assert.ok(!started.ended, started.output);
  started.lines = started.output.split('\n').filter((line) => line.startsWith('curl '));
  [, started.card] = /cards\/([0-9a-f-]{36})\/history/.exec(started.output);
  const { stdout } = await run('./build/digitalcard', ['tree', '--json', '--data', './var'], { cwd: root });
  const tree = JSON.parse(stdout);
  started.pids = tree.roles.map((role) => role.pid);
  return started;
}

async function interrupt(started) {
  process.kill(-started.process.pid, 'SIGINT');
  assert.deepEqual(await started.exited, { code: 0, signal: null }, started.output);
  for (const pid of started.pids) assert.throws(() => process.kill(pid, 0), /ESRCH/);
}

test('the three printed lines work, Ctrl-C ends all, the second start shows the same card', async () => {
  const root = place();
  const environment = { ...process.env, PATH: `${root}/bin:${process.env.PATH}`, DIGITALCARD_HTTP: `127.0.0.1:${await freePort()}`,
    DIGITALCARD_API: `tcp://127.0.0.1:${await freePort()}`, DIGITALCARD_EVENTS: `tcp://127.0.0.1:${await freePort()}` };
  delete environment.DIGITALCARD_SIGNALS;
  let started;
  try {
    started = await start(root, environment);
    assert.equal(started.lines.length, 3);
    const answers = [];
    for (const line of started.lines) answers.push(JSON.parse((await run('bash', ['-c', line])).stdout));
    assert.equal(answers[0].reason, 'valid');
    assert.deepEqual(answers[1].items.map((item) => item.name), ['CardValidated', 'CardActivated', 'CardIssued']);
    assert.equal(answers[2].member_id, 'm-2');
    const first = started.card;
    await interrupt(started);
    started = await start(root, environment);
    assert.equal(started.card, first);
    assert.equal(JSON.parse((await run('bash', ['-c', started.lines[0]])).stdout).card.holder_name, 'Ada Lovelace');

    // The same directory a second time while it runs: one line, and the first goes on.
    const second = spawn('./deploy/quickstart.sh', { cwd: root, env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    second.stderr.on('data', (text) => { said += text; });
    assert.equal(await new Promise((resolve) => second.once('close', resolve)), 1);
    assert.match(said, /in use/);
    // What the one that runs has said is still there: two starts of it.
    assert.equal(readFileSync(path.join(root, 'var/service.log'), 'utf8').split('digitalcard is ready').length - 1, 2);
    await interrupt(started);
  } finally {
    if (started !== undefined && !started.ended) process.kill(-started.process.pid, 'SIGTERM');
    rmSync(root, { recursive: true, force: true });
  }
});

// The first of three ports in a row that nobody has.
async function freePorts() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const [first, second, third] = [await freePort(), await freePort(), await freePort()];
    if (second === first + 1 && third === first + 2) return first;
  }
  throw new Error('no three free ports in a row');
}

test('--with-membership: the printed lines suspend a member at the door and bring him back; Ctrl-C ends the context too', async () => {
  const root = place();
  symlinkSync(path.resolve(path.dirname(script), '../tests'), path.join(root, 'tests'));
  const port = await freePorts();
  const environment = { ...process.env, PATH: `${root}/bin:${process.env.PATH}`, DIGITALCARD_HTTP: `127.0.0.1:${await freePort()}`,
    DIGITALCARD_API: `tcp://127.0.0.1:${await freePort()}`, DIGITALCARD_EVENTS: `tcp://127.0.0.1:${await freePort()}`,
    DIGITALCARD_MEMBERSHIP_PORT: String(port) };
  delete environment.DIGITALCARD_SIGNALS;
  let started;
  try {
    started = await start(root, environment, '--with-membership');
    const [scan, , , suspend, spoil] = started.lines;
    const verdict = async () => JSON.parse((await run('bash', ['-c', scan])).stdout);
    assert.equal((await verdict()).reason, 'valid');
    await run('bash', ['-c', suspend]);
    await until(async () => (await verdict()).reason === 'suspended', 'the card is suspended with its member', 15_000);
    await run('bash', ['-c', suspend.replace('/suspend', '/reinstate')]);
    await until(async () => (await verdict()).reason === 'valid', 'and reinstated', 15_000);
    assert.equal((await run('bash', ['-c', spoil])).stdout, 'never\n');
    assert.equal((await verdict()).reason, 'valid'); // the door goes on
    await interrupt(started);
    await assert.rejects(run('curl', ['-sS', `http://127.0.0.1:${port}/events`]));
  } finally {
    if (started !== undefined && !started.ended) process.kill(-started.process.pid, 'SIGTERM');
    rmSync(root, { recursive: true, force: true });
  }
});
