// Commands that make a handler fail, on a binary in which some do so on purpose (tests/support/poison.c): who restarts
// what, what is quarantined, and that everything else goes on.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Service, roles, until } from './service.mjs';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const headers = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };

async function withService(body, ...extra) {
  const service = await Service.start({ arguments: ['--shards', '2', ...extra] });
  try {
    const token = await service.tenant('acme');
    const card = (await service.issue('acme', token, { member_id: 'm-1' })).id;
    const other = (await service.issue('acme', token, { member_id: 'm-2' })).id;
    const validate = (id, gate, more = {}) => service.request('POST', `/acme/mapi/v1/cards/${id}/validate`,
      { token, body: { gate }, headers: { ...headers, ...more } });
    await body({ service, token, card, other, validate });
  } catch (error) {
    error.message += `\n${service.log.slice(-4000)}`;
    throw error;
  } finally {
    await service.destroy();
  }
}

const log = (service) => service.log.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
const restarts = async (service) => Object.values(roles(await service.tree())).reduce((sum, role) => sum + role.restarts, 0);

// Sends the command, which kills its role, and asks for each card until it answers again. Returns the milliseconds from
// sending until the 503 that says so, and from there until the good answer of each card: measured, and deciding nothing.
async function killed(validate, poison, ...cards) {
  const sent = performance.now();
  const reply = await poison();
  assert.equal(reply.status, 503);
  const told = performance.now();
  const times = await Promise.all(cards.map(async (card) => {
    await until(async () => {
      const answer = await validate(card, 'north');
      return answer.status === 200 && answer.body.reason === 'valid';
    }, 'the card answers again', 20_000);
    return performance.now() - told;
  }));
  return { told: told - sent, times };
}

function say(t, what, { told, times }) {
  const [own, other] = times.map((time) => `${time.toFixed(0)} ms`);
  t.diagnostic(`${what}: 503 ${told.toFixed(0)} ms after the command was sent; from then to the next good answer of its card ${own}, of another card ${other}`);
}

async function letters(service, ...more) {
  return JSON.parse(await service.command('deadletters', 'list', '--json', ...more)).dead_letters;
}

test('a command that kills its role twice is quarantined; its card and every other answers again', async (t) => {
  await withService(async ({ service, card, other, validate }) => {
    const poison = () => validate(card, 'poison-segv');
    say(t, 'first kill', await killed(validate, poison, card, other));
    say(t, 'second kill', await killed(validate, poison, card, other));

    const before = await restarts(service);
    const refused = await poison();
    assert.equal(refused.status, 200);
    assert.equal(refused.body.result, 'refused');
    assert.equal(refused.body.reason, 'quarantined');
    assert.equal((await validate(card, 'south')).body.reason, 'valid');
    assert.equal(await restarts(service), before);

    const lines = log(service).filter((line) => line.fingerprint !== undefined);
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.equal(line.level, 'error');
      assert.equal(line.tenant, 'acme');
      assert.equal(line.actor, card);
      assert.equal(line.command, 'card.validate');
      assert.equal(line.trace_id, TRACE);
      assert.match(line.how, /SIGSEGV/);
    }
    const [letter, ...none] = await letters(service);
    assert.equal(none.length, 0);
    assert.equal(letter.id, lines[0].fingerprint);
    assert.deepEqual([letter.state, letter.tenant, letter.type, letter.card, letter.kills, letter.trace_id],
      ['quarantined', 'acme', 'card.validate', card, 2, TRACE]);
    assert.equal((await letters(service, '--tenant', 'nobody')).length, 0);
    const shown = JSON.parse(await service.command('deadletters', 'show', letter.id, '--json')).dead_letter;
    assert.equal(shown.request.body.gate, 'poison-segv');
    assert.equal(shown.request.role, 'tenant_admin');
    assert.match(await service.command('deadletters', 'show', letter.id), /poison-segv/);
    const metrics = (await service.request('GET', '/metrics')).raw.toString();
    assert.match(metrics, /digitalcard_dead_letters_total\{[^}]*reason="quarantined"[^}]*\} 1/);
    assert.match(metrics, /digitalcard_quarantine_orders_total[^\n]* 1/);

    // It is durable: also a service that starts anew refuses it.
    await service.stop();
    await service.spawn();
    assert.equal((await poison()).body.reason, 'quarantined');

    // Replayed as it is, it kills again and is quarantined again; mended, it does what it says.
    const replay = await service.tryCommand('deadletters', 'replay', letter.id, '--data', service.data);
    assert.equal(replay.status, 1);
    assert.match(replay.stderr, /quarantined again/);
    assert.equal((await poison()).body.reason, 'quarantined');
    writeFileSync(path.join(service.data, 'run', 'poison-off'), '');
    assert.match(await service.command('deadletters', 'replay', letter.id), /was replayed: ok/);
    assert.equal((await letters(service))[0].state, 'replayed');
    assert.equal((await poison()).body.reason, 'valid');
    assert.match(await service.command('deadletters', 'drop', letter.id), /dropped/);
    assert.equal((await letters(service)).length, 0);
    const again = await service.tryCommand('deadletters', 'drop', letter.id, '--data', service.data);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /no such dead letter/);
  });
});

test('a dropped dead letter is carried out again when it comes again', async () => {
  await withService(async ({ service, token, card, validate }) => {
    const poison = () => service.act('acme', token, card, 'suspend', { reason: 'poison-abort' }, headers);
    await killed(validate, poison, card);
    await killed(validate, poison, card);
    const refused = await poison();
    assert.equal(refused.status, 409);
    assert.equal(refused.body.code, 'quarantined');
    assert.equal((await service.act('acme', token, card, 'suspend', { reason: 'lost' })).status, 200);
    assert.equal((await service.act('acme', token, card, 'reinstate', {})).status, 200);
    const [letter] = await letters(service);
    await service.command('deadletters', 'drop', letter.id);
    writeFileSync(path.join(service.data, 'run', 'poison-off'), '');
    await until(async () => (await poison()).status === 200, 'it is no longer refused');
  });
});

for (const [what, file] of [['events kill who builds it', () => 'poison-stored'],
  ['rows kill the store thread that reads them', (card) => `poison-read-${card.replaceAll('-', '')}`]]) {
  test(`a card whose stored ${what} is quarantined whatever is asked of it, and no other card`, async () => {
    await withService(async ({ service, token, other, validate }) => {
      const card = (await service.issue('acme', token, { member_id: 'stored-poison' })).id;
      assert.equal((await validate(card, 'north')).body.reason, 'valid');
      const poison = path.join(service.data, 'run', file(card));
      writeFileSync(poison, '');
      for (const [name, role] of Object.entries(roles(await service.tree()))) {
        if (name.startsWith('shard-')) process.kill(role.pid, 'SIGKILL'); // what is in memory is gone
      }
      await until(async () => (await validate(other, 'north')).status === 200, 'the other card answers', 10_000);
      const before = await restarts(service);

      // Each scan is another command.
      let gate = 0;
      await until(async () => {
        gate += 1;
        return (await validate(card, `gate-${gate}`)).body.reason === 'quarantined';
      }, 'the card is quarantined', 20_000);
      assert.equal(await restarts(service), before + 2);
      assert.equal((await validate(other, 'north')).body.reason, 'valid');
      for (let i = 0; i < 8; i++) assert.equal((await validate(card, `another-${i}`)).body.reason, 'quarantined');
      const refused = await service.act('acme', token, card, 'suspend', {}, headers);
      assert.equal(refused.status, 409);
      assert.equal(refused.body.code, 'quarantined');
      assert.match(refused.body.detail, /deadletters/);
      assert.equal(await restarts(service), before + 2);

      const [letter, ...none] = await letters(service);
      assert.equal(none.length, 0);
      assert.deepEqual([letter.scope, letter.state, letter.card, letter.kills, letter.can_replay],
        ['card', 'quarantined', card, 2, true]);
      assert.match(await service.command('deadletters', 'list'), /quarantined {3}card /);

      // Not mended: reading it kills once more, and it stays where it was.
      const replay = await service.tryCommand('deadletters', 'replay', letter.id, '--data', service.data);
      assert.equal(replay.status, 1);
      assert.match(replay.stderr, /quarantined again/);
      await until(async () => (await validate(card, 'x')).body.reason === 'quarantined', 'it still is', 10_000);

      // It is durable, and a card that is mended is free again.
      await service.stop();
      await service.spawn();
      assert.equal((await validate(card, 'y')).body.reason, 'quarantined');
      rmSync(poison, { force: true });
      assert.match(await service.command('deadletters', 'replay', letter.id), /was replayed: ok/);
      assert.equal((await validate(card, 'north')).body.reason, 'valid');
      assert.match(await service.command('deadletters', 'drop', letter.id), /dropped/);
    });
  });
}

test('a request with a key that kills, is sent again and kills, ends as quarantined', async () => {
  await withService(async ({ service, card, validate }) => {
    const key = { 'Idempotency-Key': 'k-1' };
    const reply = await validate(card, 'poison-segv', key);
    assert.equal(reply.status, 200);
    assert.equal(reply.body.reason, 'quarantined');
    assert.equal((await validate(card, 'north')).body.reason, 'valid');
    const [letter] = await letters(service);
    assert.equal(letter.kills, 2);
    assert.equal((await validate(card, 'poison-segv', key)).body.reason, 'quarantined');
  });
});

for (const [what, word] of [['sleeps', 'poison-hang'], ['computes', 'poison-loop'], ['takes memory', 'poison-malloc']]) {
  test(`the watchdog ends a handler that ${what} without end; the second time its command is quarantined`, async (t) => {
    await withService(async ({ service, card, other, validate }) => {
      const poison = () => validate(card, word);
      await killed(validate, poison, card);
      say(t, 'second kill', await killed(validate, poison, card, other));
      assert.equal((await poison()).body.reason, 'quarantined');
      assert.equal((await letters(service))[0].reason, 'killed by the watchdog');
      assert.ok(log(service).some((line) => line.how === 'killed by the watchdog' && line.trace_id === TRACE && line.actor === card));
    });
  });
}

test('a handler that fails or takes all its memory concerns its own card only', async () => {
  await withService(async ({ service, card, other, validate }) => {
    for (const poison of ['poison-error', 'poison-memory']) {
      const reply = await validate(card, poison);
      assert.equal(reply.status, 500);
      assert.equal(reply.body.code, 'internal_error');
      assert.equal((await validate(other, 'north')).body.reason, 'valid');
      assert.equal((await validate(card, 'north')).body.reason, 'valid');
    }
    assert.equal(await restarts(service), 0);
    assert.equal((await letters(service)).length, 0);
    assert.ok(log(service).some((line) => line.command === 'card.validate' && line.trace_id === TRACE));
    const metrics = (await service.request('GET', '/metrics')).raw.toString();
    assert.match(metrics, /digitalcard_dead_letters_total\{[^}]*reason="poison"[^}]*\} 2/);
  });
});

test('a card that keeps failing rests: who asks for it hears so, and another card goes on', async (t) => {
  await withService(async ({ card, other, validate }) => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => validate(card, 'poison-error')));
    const begun = performance.now();
    answers.push(await validate(card, 'north'));
    t.diagnostic(`the answer came after ${Math.round(performance.now() - begun)} ms`);
    // Who waited for the card until its deadline would hear another code.
    assert.deepEqual(new Set(answers.map((answer) => answer.body.code)), new Set(['internal_error', 'busy']));
    for (const { status, headers } of answers.filter((answer) => answer.body.code === 'busy')) {
      assert.equal(status, 503);
      assert.ok(Number(headers['retry-after']) >= 1);
    }
    assert.equal((await validate(other, 'north')).body.reason, 'valid');
  });
});

test('an operator who kills a busy role blames nobody', async () => {
  await withService(async ({ service, card, validate }) => {
    const shard = roles(await service.tree())['shard-0'];
    process.kill(shard.pid, 'SIGKILL');
    await until(async () => (await validate(card, 'north')).status === 200, 'it is back', 10_000);
    assert.equal((await letters(service)).length, 0);
  });
});
