// What the gate answers while the way to the membership context is broken: its name cannot be looked up, or looking it up
// hangs (tests/support/names.c stands in for the name system), or its connections are half open, as after a cut cable: nobody
// says goodbye. And that all is as before when the way is mended, without anybody acting.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { QUICK, breaker, issue, verdict } from './membership_cases.mjs';
import { Membership } from '../peers/membership.mjs';
import { Service, until } from './service.mjs';

// Scans while the context cannot be reached: each answered, at once, and each says on what it rests.
async function gateAnswers(service, token, cards, times = 100) {
  for (let i = 0; i < times; i += 1) {
    const reply = await service.scan('acme', token, cards[i % cards.length].qr.text);
    assert.equal(reply.status, 200);
    assert.equal(reply.body.reason, 'valid');
    assert.equal(reply.body.fallback, true);
    assert.ok(reply.body.fallback_age_s >= 0 && reply.body.fallback_age_s < 100);
  }
  assert.equal((await service.request('GET', '/health/ready')).status, 200);
  // Who is issued a card waits for nobody who is known to be away.
  const issued = await service.request('POST', '/acme/api/v1/cards',
    { token, body: { member_id: cards[0].member_id, expires_at: '2035-01-01T00:00:00Z' } });
  assert.equal(issued.status, 201);
}

const away = (service) => until(async () => (await breaker(service)).state !== 'closed', 'the breaker opens', 20_000);
const back = (service, token, card) => until(async () => (await breaker(service)).state === 'closed'
  && (await verdict(service, token, card)).fallback === false, 'all is as before', 30_000);

test('the name of the context hangs, then there is no name system at all: scans go on, adapters do not', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-names-'));
  const says = (word) => writeFileSync(path.join(folder, 'says'), `${word}\n`);
  says('good');
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*' });
  const service = await Service.start({ wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_NAMES}`, `NAMES_SWITCH=${folder}/says`],
    arguments: ['--membership-url', `http://membership.test:${context.httpPort}`, '--membership-events', context.events, '--breaker', QUICK, '--shards', '1'] });
  t.after(async () => {
    says('good');
    await service.destroy();
    await context.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const token = await service.tenant('acme');
  const cards = [];
  for (let i = 0; i < 3; i += 1) cards.push(await issue(service, token, context, `m-${i}`));
  assert.equal((await verdict(service, token, cards[0])).fallback, false);
  const adapters = async () => (await service.tree()).roles.find((role) => role.name === 'adapters');
  const { pid } = await adapters();
  for (const word of ['hang', 'gone']) {
    says(word);
    await context.die(); // its kept connections would be used on
    await away(service);
    await gateAnswers(service, token, cards);
    // The role itself goes on meanwhile: it answers who asks it, and a name hangs for longer than the question may take.
    const began = Date.now();
    assert.ok((await breaker(service)).failed >= 1);
    t.diagnostic(`${word}: adapters answered after ${Date.now() - began} ms`);
    await context.returnToLife();
    says('good');
    await back(service, token, cards[0]);
  }
  assert.equal((await adapters()).pid, pid, 'nobody had to restart it');
});

// ZeroMQ has one thread for all of the role's sockets, the channel to the shards among them: no name may be looked up there.
test('over ZeroMQ the names of one tenant hang: the membership of another goes on, and follows a name that leads elsewhere', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'dc-names-'));
  const says = (host, word) => writeFileSync(path.join(folder, `says.${host}`), `${word}\n`);
  says('bad.test', 'hang');
  const contexts = {};
  for (const tenant of ['acme', 'beta']) contexts[tenant] = await Membership.start({ events: 'tcp://127.0.0.1:*', api: 'tcp://127.0.0.1:*' });
  const named = (what) => `acme=${contexts.acme[what].replace('127.0.0.1', 'bad.test')} beta=${contexts.beta[what].replace('127.0.0.1', 'good.test')}`;
  const service = await Service.start({ wrapper: ['env', `LD_PRELOAD=${process.env.DIGITALCARD_NAMES}`, `NAMES_SWITCH=${folder}/says`],
    arguments: ['--membership-url', named('api'), '--membership-events', named('events'), '--breaker', QUICK, '--shards', '1'] });
  t.after(async () => {
    says('bad.test', 'good');
    await service.destroy();
    for (const context of Object.values(contexts)) await context.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const tokens = { acme: await service.tenant('acme'), beta: await service.tenant('beta') };
  const adapters = async () => (await service.tree()).roles.find((role) => role.name === 'adapters');
  const { pid } = await adapters();
  const cards = {};
  for (const [tenant, context] of Object.entries(contexts)) {
    for (const id of ['m-1', 'm-2']) {
      context.member(tenant, id);
      cards[`${tenant} ${id}`] = await service.issue(tenant, tokens[tenant], { member_id: id });
    }
  }
  const tells = async (tenant, id) => (await service.scan(tenant, tokens[tenant], cards[`${tenant} ${id}`].qr.text)).body;
  const suspended = (tenant, id, what) => until(async () => (await tells(tenant, id)).reason === 'suspended', what, 20_000);
  // Asked and heard, by name, while the other's names hang.
  await until(async () => (await tells('beta', 'm-1')).fallback === false, 'beta is asked', 10_000);
  contexts.beta.happen('beta', 'suspend', 'm-1');
  await suspended('beta', 'm-1', 'beta is heard');
  const scanned = await tells('acme', 'm-1');
  assert.equal(scanned.reason, 'valid');
  assert.equal(scanned.fallback, true);
  // Its name comes back: what waited for it is asked and heard without anybody acting.
  contexts.acme.happen('acme', 'suspend', 'm-1');
  says('bad.test', 'good');
  await suspended('acme', 'm-1', 'acme is heard');
  // Another machine takes the place of the context: same ports, another address, a log that goes on.
  const successor = await Membership.start({ events: contexts.beta.events.replace('127.0.0.1', '127.0.0.2'), api: contexts.beta.api.replace('127.0.0.1', '127.0.0.2') });
  contexts.successor = successor;
  successor.logs = contexts.beta.logs;
  successor.members = contexts.beta.members;
  says('good.test', '127.0.0.2');
  await until(() => service.log.includes('a membership context has another address'), 'the name is followed', 20_000);
  await contexts.beta.stop();
  successor.happen('beta', 'suspend', 'm-2');
  await suspended('beta', 'm-2', 'the successor is heard');
  assert.equal((await adapters()).pid, pid, 'nobody had to restart it');
});

// Carries bytes until it is cut: then nothing goes through and nothing is closed, on what is open and on what is opened later.
// Mended, it carries new connections; those that were open at the cut stay as they are, half open for ever.
async function cable(port) {
  const line = { isCut: false, open: [] };
  line.server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    const pair = { isDead: line.isCut };
    line.open.push(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on('error', () => {});
      from.on('data', (bytes) => { if (!pair.isDead) to.write(bytes); });
      from.on('close', () => { if (!pair.isDead) to.destroy(); });
    }
    line.sockets = [...(line.sockets ?? []), near, far];
  });
  await new Promise((resolve) => line.server.listen(0, '127.0.0.1', resolve));
  line.port = line.server.address().port;
  line.cut = () => { line.isCut = true; for (const pair of line.open) pair.isDead = true; };
  line.mend = () => { line.isCut = false; };
  line.stop = () => { line.server.close(); for (const socket of line.sockets ?? []) socket.destroy(); };
  return line;
}

test('half-open connections: scans go on; mended, the dead ones are not used, and no event is lost', async (t) => {
  const context = await Membership.start({ events: 'tcp://127.0.0.1:*' });
  const questions = await cable(context.httpPort);
  const events = await cable(Number(context.events.split(':').at(-1)));
  const service = await Service.start({ arguments: ['--membership-url', `http://127.0.0.1:${questions.port}`,
    '--membership-events', `tcp://127.0.0.1:${events.port}`, '--breaker', QUICK, '--shards', '1'] });
  t.after(async () => { await service.destroy(); await context.stop(); questions.stop(); events.stop(); });
  const token = await service.tenant('acme');
  const cards = [];
  for (let i = 0; i < 3; i += 1) cards.push(await issue(service, token, context, `m-${i}`));
  assert.equal((await verdict(service, token, cards[0])).fallback, false);
  questions.cut();
  events.cut();
  await away(service);
  await gateAnswers(service, token, cards);
  context.happen('acme', 'suspend', 'm-1'); // nobody hears of it
  assert.equal((await verdict(service, token, cards[1])).reason, 'valid');
  questions.mend();
  events.mend();
  await back(service, token, cards[0]);
  await until(async () => (await verdict(service, token, cards[1])).reason === 'suspended', 'what happened meanwhile was read', 20_000);
  // The connection of the events is dead and nobody has said so: what happens now is found by reading.
  context.happen('acme', 'suspend', 'm-2');
  await until(async () => (await verdict(service, token, cards[2])).reason === 'suspended', 'found by reading', 20_000);
});
