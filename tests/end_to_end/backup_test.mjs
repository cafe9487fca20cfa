// Backup and restore: on line, under load, from SQLite to PostgreSQL and back, and every way in which a file can be
// wrong. What was acknowledged before a backup began is in it, byte for byte; what is wrong leaves nothing behind.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMulti } from '@msgpack/msgpack';
import { Postgres } from './postgres.mjs';
import { BINARY, Service, until } from './service.mjs';

const TABLES = ['', 'partition', 'event', 'card', 'member_key', 'idempotency', 'refusal_log', 'reminder', 'note', 'archive'];
let folder;
let postgres;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'dc-backup-'));
  postgres = await Postgres.start();
});
after(async () => {
  await postgres?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

// The rows of a backup by table, as the contract of the file says (adapters/archive/archive.h).
function rowsOf(file) {
  const bytes = readFileSync(file);
  assert.equal(bytes.subarray(0, 8).toString(), 'DCBACKUP');
  const rows = Object.fromEntries(TABLES.slice(1).map((table) => [table, []]));
  for (let at = 8; ;) {
    const size = bytes.readUInt32BE(at);
    if (size === 0) break;
    for (const [kind, table, ...columns] of decodeMulti(bytes.subarray(at + 4, at + 4 + size), { useBigInt64: true })) {
      if (kind === 3) rows[TABLES[table]].push(columns.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value))).join(','));
    }
    at += 4 + size + 32;
  }
  return rows;
}

function sameHistory(one, other) {
  for (const table of ['event', 'card', 'member_key', 'idempotency', 'refusal_log', 'reminder', 'note']) {
    assert.deepEqual(one[table], other[table], `${table} is the same`);
  }
  const heads = (rows) => rows.partition.map((row) => row.replace(/,\d+,/, ','));
  assert.deepEqual(heads(one), heads(other));
}

async function store(service, ...words) {
  const where = service.extra.includes('--store') ? ['--store', service.extra[service.extra.indexOf('--store') + 1]] : [];
  return service.tryCommand('store', ...words, '--data', service.data, ...where);
}

async function good(service, ...words) {
  const result = await store(service, ...words);
  assert.equal(result.status, 0, `${words.join(' ')}: ${result.stderr}`);
  assert.doesNotMatch(result.stderr, /WARNING/, `${words.join(' ')} prints what the server says`);
  return result.stdout;
}

async function fill(service, token, cards) {
  const issued = [];
  for (let i = 0; i < cards; i++) {
    issued.push(await service.issue('acme', token, { member_id: `Mitglied-${i % 7}`, holder_name: `Anna ${i}`, tier: i % 2 ? 'Gold' : undefined }));
  }
  return issued;
}

// Scans until told to stop; every one is acknowledged.
function load(service, token, cards) {
  const state = { stop: false, scans: 0 };
  state.ended = Promise.all([0, 1, 2, 3].map(async (worker) => {
    for (let i = worker; !state.stop; i += 4) {
      const reply = await service.request('POST', `/acme/mapi/v1/cards/${cards[i % cards.length].id}/validate`,
        { token, body: { gate: 'north' }, headers: { 'Idempotency-Key': `load-${i}` } });
      assert.equal(reply.status, 200, `${reply.raw}`);
      state.scans++;
    }
  }));
  return state;
}

async function eventsOf(service, token) {
  const page = await service.request('GET', '/acme/api/v1/events?partition=0&limit=1000', { token });
  return page.body.items;
}

test('from SQLite to PostgreSQL and back under load, with names, keys, replies and history', async () => {
  const small = await Service.start();
  const large = await Service.start({ arguments: ['--store', postgres.url] });
  const third = await Service.start();
  const services = [small, large, third];
  const files = ['under-load', 'small', 'large', 'third'].map((name) => path.join(folder, name));
  try {
    let token = await small.tenant('acme', '--partitions', '2');
    const cards = await fill(small, token, 20);
    const body = { member_id: 'm-once', expires_at: '2035-01-01T00:00:00Z' };
    const first = await small.request('POST', '/acme/api/v1/cards', { token, body, headers: { 'Idempotency-Key': 'once' } });
    await small.scan('acme', token, 'DC1:NOTHING-OF-OURS');

    const busy = load(small, token, cards);
    await until(() => busy.scans > 100, 'there is load', 20_000);
    await good(small, 'backup', '--tenant', 'acme', files[0]);
    const after = busy.scans;
    await until(() => busy.scans > after, 'the load went on');
    busy.stop = true;
    await busy.ended;
    await good(small, 'backup', '--tenant', 'acme', files[1]);
    assert.equal(statSync(files[0]).mode & 0o777, 0o600);
    for (const file of files.slice(0, 2)) assert.match(await good(small, 'verify', file), /sound/);
    const [early, late] = files.slice(0, 2).map(rowsOf);
    const ofPartition = (rows, partition) => rows.event.filter((row) => BigInt(row.split(',')[0]) >> 56n === BigInt(partition));
    for (const partition of [0, 1]) {
      const before = ofPartition(early, partition);
      assert.deepEqual(ofPartition(late, partition).slice(0, before.length), before, 'what was backed up under load is the beginning');
    }
    assert.ok(late.event.length > early.event.length && early.event.length > 40);

    // To PostgreSQL, which has another master key.
    const refused = await store(large, 'restore', '--tenant', 'acme', files[1]);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /another master key.*--master-key/);
    assert.equal(JSON.parse(await large.command('tenant', 'list', '--json')).tenants.length, 0);
    await good(large, 'restore', '--tenant', 'acme', files[1], '--master-key', path.join(small.data, 'master.key'));
    token = await large.token('acme', 'tenant_admin', '--ttl', '3600');
    await until(async () => (await large.request('GET', '/acme/api/v1/cards?limit=1', { token })).status === 200, 'PostgreSQL serves the tenant');
    await good(large, 'backup', '--tenant', 'acme', files[2]); // on line
    sameHistory(late, rowsOf(files[2]));
    const epochs = (rows) => rows.partition.map((row) => Number(row.split(',')[1]));
    epochs(rowsOf(files[2])).forEach((epoch, i) => assert.ok(epoch > epochs(late)[i], 'owners of before are fenced'));
    for (const card of cards.slice(0, 3)) {
      const read = await large.request('GET', `/acme/api/v1/cards/${card.id}`, { token });
      assert.equal(read.body.holder_name, card.holder_name);
      assert.equal(read.body.tier, card.tier);
      assert.equal((await large.scan('acme', token, card.qr.text)).body.reason, 'valid');
    }
    const again = await large.request('POST', '/acme/api/v1/cards', { token, body, headers: { 'Idempotency-Key': 'once' } });
    assert.deepEqual([again.status, again.raw], [first.status, first.raw], 'the first reply, byte for byte');

    // And back, after new events.
    await good(large, 'verify');
    rmSync(files[2]);
    await good(large, 'backup', '--tenant', 'acme', files[2]);
    await good(third, 'restore', '--tenant', 'acme', files[2], '--master-key', path.join(large.data, 'master.key'));
    await good(third, 'backup', '--tenant', 'acme', files[3]);
    sameHistory(rowsOf(files[2]), rowsOf(files[3]));
    await good(third, 'verify');
    token = await third.token('acme', 'tenant_admin', '--ttl', '3600');
    await until(async () => (await third.request('GET', '/acme/api/v1/cards?limit=1', { token })).status === 200, 'SQLite serves the tenant');
    assert.equal((await third.scan('acme', token, cards[0].qr.text)).body.reason, 'valid');
    assert.ok((await eventsOf(third, token)).length > 0);
    const listed = await third.request('GET', '/acme/api/v1/cards?limit=100', { token });
    assert.equal(listed.body.items.length, cards.length + 1, 'read models are made anew');

    // Deleting leaves such a backup on PostgreSQL too, with what came after the last one.
    const wrong = await large.tryCommand('tenant', 'delete', 'acme', '--yes', '--data', large.data);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /in PostgreSQL: say so with --store.*\n.*not deleted/);
    const { backup } = JSON.parse(await large.command('tenant', 'delete', 'acme', '--yes', '--json', '--store', postgres.url));
    assert.match(await good(large, 'verify', backup), /sound/);
    sameHistory(rowsOf(files[2]), rowsOf(backup));
    await good(large, 'restore', '--tenant', 'acme', backup);
  } finally {
    for (const service of services) await service.destroy();
  }
});

// Issues cards and scans them until told to stop, eight at a time; what was acknowledged is known with its order.
function writers(service, token) {
  const state = { stop: false, issued: [], scans: 0 };
  state.ended = Promise.all(Array.from({ length: 8 }, async (_, worker) => {
    for (let i = 0; !state.stop; i++) {
      const card = await service.issue('acme', token, { member_id: `m-${worker}`, holder_name: `Anna ${worker} ${i}` });
      state.issued.push(card);
      for (let scan = 0; scan < 3; scan++) {
        assert.equal((await service.scan('acme', token, card.qr.text)).body.reason, 'valid');
        state.scans++;
      }
    }
  }));
  return state;
}

async function every(service, token, target) {
  const items = [];
  for (let cursor = null; ;) {
    const page = await service.request('GET', `${target}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, { token });
    assert.equal(page.status, 200, `${page.raw}`);
    items.push(...page.body.items);
    cursor = page.body.next_cursor;
    if (cursor === null) return items;
  }
}

test('from PostgreSQL under eight writers into a SQLite service that serves others', async () => {
  await postgres.sql('CREATE DATABASE busy OWNER digitalcard');
  const source = await Service.start({ arguments: ['--store', postgres.url.replace(/digitalcard$/, 'busy')] });
  const target = await Service.start();
  const [file, whole] = ['of-busy-postgres', 'of-its-copy'].map((name) => path.join(folder, name));
  try {
    const token = await source.tenant('acme', '--partitions', '2');
    const other = await target.tenant('other');
    const stranger = await target.issue('other', other);
    const busy = writers(source, token);
    await until(() => busy.scans > 200, 'there is load', 30_000);
    const [known, scans] = [busy.issued.slice(), busy.scans];
    await good(source, 'backup', '--tenant', 'acme', file);
    const [known2, scans2] = [busy.issued.length, busy.scans];
    await until(() => busy.scans > scans2 && busy.issued.length > known2, 'the load went on', 20_000);
    busy.stop = true;
    await busy.ended;
    assert.match(await good(source, 'verify', file), /sound/);

    // Into a service at work: nobody else there notices.
    const serving = { stop: false, scans: 0 };
    serving.ended = Promise.all([0, 1].map(async () => {
      while (!serving.stop) {
        assert.equal((await target.scan('other', other, stranger.qr.text)).body.reason, 'valid');
        serving.scans++;
      }
    }));
    await until(() => serving.scans > 20, 'others are served');
    await good(target, 'restore', '--tenant', 'acme', file, '--master-key', path.join(source.data, 'master.key'));
    const during = serving.scans;
    const mine = await target.token('acme', 'tenant_admin', '--ttl', '3600');
    await until(async () => (await target.request('GET', '/acme/api/v1/cards?limit=1', { token: mine })).status === 200, 'the copy is served', 30_000);
    await until(() => serving.scans > during, 'and so are the others, still');
    serving.stop = true;
    await serving.ended;

    await good(target, 'backup', '--tenant', 'acme', whole);
    const rows = rowsOf(file);
    sameHistory(rows, rowsOf(whole));
    const events = [];
    for (const partition of [0, 1]) {
      for (let from = 0; ;) {
        const page = (await target.request('GET', `/acme/api/v1/events?partition=${partition}&after=${from}&limit=1000`, { token: mine })).body;
        events.push(...page.items);
        if (page.items.length === 0) break;
        from = page.items.at(-1).sequence;
      }
    }
    assert.equal(events.length, rows.event.length, 'as many events as in the file');
    const count = (name) => events.filter((event) => event.name === name).length;
    assert.ok(count('CardValidated') >= scans, 'each scan that was answered before');
    const listed = await every(target, mine, '/acme/api/v1/cards?limit=100');
    assert.equal(listed.length, count('CardIssued'));
    const there = new Set(listed.map((card) => card.id));
    for (const card of known) assert.ok(there.has(card.id), 'each card that was issued before');
    assert.ok(listed.length <= busy.issued.length, 'and none that nobody issued');
    const read = await target.request('GET', `/acme/api/v1/cards/${known[0].id}`, { token: mine });
    assert.equal(read.body.holder_name, known[0].holder_name);
    await target.stop();
    await good(target, 'verify');
  } finally {
    for (const service of [source, target]) await service.destroy();
  }
});

test('a wrong file, tenant or place is refused with what is wrong, and leaves nothing', async () => {
  const service = await Service.start();
  try {
    const token = await service.tenant('acme');
    await fill(service, token, 5);
    const file = path.join(folder, 'good');
    await good(service, 'backup', '--tenant', 'acme', file);
    const refuses = async (pattern, ...words) => {
      const result = await store(service, ...words);
      assert.equal(result.status, 1, words.join(' '));
      assert.match(result.stderr, pattern);
      assert.deepEqual(readdirSync(path.join(service.data, 'tenants')).filter((name) => name.includes('restored') || name.startsWith('other')), []);
    };
    await refuses(/good: create: File exists/, 'backup', '--tenant', 'acme', file);
    await refuses(/no tenant nobody/, 'backup', '--tenant', 'nobody', path.join(folder, 'none'));
    await refuses(/No such file or directory/, 'backup', '--tenant', 'acme', path.join(folder, 'nowhere/file'));
    assert.ok(!existsSync(path.join(folder, 'none')) && !existsSync(path.join(folder, 'none.part')));
    await refuses(/acme exists already/, 'restore', '--tenant', 'acme', file);
    await refuses(/is a backup of acme, not of other/, 'restore', '--tenant', 'other', file);
    await refuses(/No such file or directory/, 'restore', '--tenant', 'acme', path.join(folder, 'missing'));
    await service.command('tenant', 'delete', 'acme', '--yes');

    const bytes = readFileSync(file);
    const bad = path.join(folder, 'bad');
    const wrong = async (changed, pattern) => {
      writeFileSync(bad, changed);
      await refuses(pattern, 'restore', '--tenant', 'acme', bad);
      assert.equal((await store(service, 'verify', bad)).status, 1);
    };
    for (const size of [0, 7, 8, 11, 40, bytes.length >> 1, bytes.length - 37, bytes.length - 36, bytes.length - 1]) {
      await wrong(bytes.subarray(0, size), /is damaged: it ends too early|is no backup/);
    }
    for (const at of [12, 60, bytes.length >> 1, bytes.length - 1]) {
      const flipped = Buffer.from(bytes);
      flipped[at] ^= 0x10;
      await wrong(flipped, /is damaged/);
    }
    await wrong(Buffer.concat([bytes, Buffer.from('x')]), /something stands behind its end/);
    await wrong(Buffer.from('something else, and long enough to have a header of some kind'), /is no backup/);
    const key = path.join(folder, 'key');
    writeFileSync(key, Buffer.alloc(31));
    await refuses(/exactly 32 bytes/, 'restore', '--tenant', 'acme', file, '--master-key', key);
    writeFileSync(key, Buffer.alloc(32));
    await refuses(/not made under the master key/, 'restore', '--tenant', 'acme', file, '--master-key', key);
    await good(service, 'restore', '--tenant', 'acme', file);
  } finally {
    await service.destroy();
  }
});

// A file with rows changed, and its hashes right: they are no secret. `change` gets each record and may change it.
function forge(file, change) {
  const bytes = readFileSync(file);
  const parts = [bytes.subarray(0, 8)];
  let hash = Buffer.alloc(32);
  for (let at = 8; ;) {
    const size = bytes.readUInt32BE(at);
    const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + size));
    change(payload);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(size);
    hash = blake2b(Buffer.concat([hash, length, payload]));
    parts.push(length, payload, hash);
    if (size === 0) return Buffer.concat(parts);
    at += 4 + size + 32;
  }
}

// BLAKE2b-256, which Node has only with 512 bits; b2sum has any.
function blake2b(bytes) {
  const { stdout } = spawnSync('b2sum', ['-l', '256'], { input: bytes });
  return Buffer.from(stdout.toString().slice(0, 64), 'hex');
}

test('rows whose sealed contents do not open are refused when they are restored, and named', async () => {
  const service = await Service.start();
  try {
    const token = await service.tenant('acme');
    for (const name of ['first', 'second']) {
      await service.request('POST', '/acme/api/v1/cards', { token, body: { member_id: `member-of-${name}`, holder_name: name, expires_at: '2035-01-01T00:00:00Z' }, headers: { 'Idempotency-Key': `key-of-${name}` } });
    }
    const file = path.join(folder, 'to-forge');
    await good(service, 'backup', '--tenant', 'acme', file);
    await service.command('tenant', 'delete', 'acme', '--yes');
    const bad = path.join(folder, 'forged');
    const flipLast = (text) => (payload) => { // a byte of what stands behind the last mention of the text
      const at = payload.lastIndexOf(text);
      if (at >= 0) payload[at + text.length + 12] ^= 1;
    };
    writeFileSync(bad, forge(file, () => {}));
    assert.deepEqual(readFileSync(bad), readFileSync(file), 'the test computes the hashes');
    for (const [text, shift, pattern] of [['member-of-second', 0, /row 2 of member_key does not open/], ['key-of-second', 60, /row 2 of idempotency does not open/]]) {
      writeFileSync(bad, forge(file, shift === 0 ? flipLast(text) : (payload) => { const at = payload.lastIndexOf(text); if (at >= 0) payload[at + text.length + shift] ^= 1; }));
      assert.equal((await store(service, 'verify', bad)).status, 0, 'without a key nobody sees it');
      const result = await store(service, 'restore', '--tenant', 'acme', bad);
      assert.equal(result.status, 1);
      assert.match(result.stderr, pattern);
      assert.equal(JSON.parse(await service.command('tenant', 'list', '--json')).tenants.length, 0);
    }
    // The name itself, in the event of its card: the journal would take it, and the name would be gone for good.
    writeFileSync(bad, forge(file, (payload) => { const at = payload.indexOf('member-of-second'); payload[at + 60] ^= 1; }));
    const result = await store(service, 'restore', '--tenant', 'acme', bad);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /a sealed name of the member of row 2 of member_key does not open under that key; nothing was restored/);
    const restored = JSON.parse(await good(service, 'restore', '--tenant', 'acme', file, '--json'));
    assert.deepEqual(restored.names, { opened: 4, erased: 0, complete: true }, 'each in its event and in its snapshot');
  } finally {
    await service.destroy();
  }
});

test('of two restores of one tenant the second is refused, and the first goes on', async () => {
  const source = await Service.start();
  const file = path.join(folder, 'once');
  await source.tenant('acme');
  await good(source, 'backup', '--tenant', 'acme', file);
  const bytes = readFileSync(file);
  const END = 36; // the last chunk: until it comes, a restore waits
  await postgres.sql('CREATE DATABASE another OWNER digitalcard');
  for (const extra of [[], ['--store', postgres.url.replace(/digitalcard$/, 'another')]]) {
    const service = await Service.start({ arguments: extra });
    try {
      const pipe = path.join(folder, `pipe-${extra.length}`);
      spawnSync('mkfifo', [pipe]);
      const words = ['store', 'restore', '--tenant', 'acme', '--master-key', path.join(source.data, 'master.key'), '--data', service.data, ...extra];
      const first = spawn(BINARY, [...words, pipe], { stdio: ['ignore', 'ignore', 'inherit'] });
      const ended = new Promise((resolve) => { first.once('exit', resolve); });
      const feed = await open(pipe, 'w');
      await feed.write(bytes.subarray(0, bytes.length - END));
      const begun = extra.length === 0 ? () => existsSync(path.join(service.data, 'tenants/acme.db.restored'))
        : () => postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'dc\\_%acme' AND state = 'idle in transaction'").then((count) => count !== '0');
      await until(begun, 'the first is at it', 20_000);
      const second = await service.tryCommand(...words, file);
      assert.equal(second.status, 1);
      assert.match(second.stderr, /another restore of this organisation is running/);
      await feed.write(bytes.subarray(bytes.length - END));
      await feed.close();
      assert.equal(await ended, 0);
      assert.match((await service.tryCommand(...words, file)).stderr, /exists already/);
      assert.deepEqual(readdirSync(service.data).filter((name) => name.endsWith('.lock')), []);
    } finally {
      await service.destroy();
    }
  }
  await source.destroy();
});

test('kill -9 in the middle of a restore leaves no tenant, and the next restore works', async () => {
  const service = await Service.start();
  try {
    const token = await service.tenant('acme');
    const cards = await fill(service, token, 20);
    const busy = load(service, token, cards);
    await until(() => busy.scans > 2000, 'there is enough to restore', 60_000);
    busy.stop = true;
    await busy.ended;
    const file = path.join(folder, 'large-one');
    await good(service, 'backup', '--tenant', 'acme', file);
    await service.command('tenant', 'delete', 'acme', '--yes');
    let killed = 0;
    for (const milliseconds of [5, 10, 15, 20, 30, 40, 60, 80]) {
      const restore = spawn(BINARY, ['store', 'restore', '--tenant', 'acme', file, '--data', service.data], { stdio: 'ignore' });
      const ended = new Promise((resolve) => { restore.once('exit', (code, signal) => resolve(signal)); });
      const timer = setTimeout(() => restore.kill('SIGKILL'), milliseconds);
      const signal = await ended;
      clearTimeout(timer);
      const tenants = JSON.parse(await service.command('tenant', 'list', '--json')).tenants;
      if (signal === null) { // it was quicker
        assert.equal(tenants.length, 1);
        await service.command('tenant', 'delete', 'acme', '--yes');
      } else {
        killed++;
        if (tenants.length === 1) { // killed after it was done
          await good(service, 'verify');
          await service.command('tenant', 'delete', 'acme', '--yes');
        }
      }
    }
    assert.ok(killed > 0, 'some were killed');
    await good(service, 'restore', '--tenant', 'acme', file);
    await good(service, 'verify');
    const anew = await service.token('acme', 'tenant_admin');
    const listed = await until(async () => {
      const page = await service.request('GET', '/acme/api/v1/cards?limit=100', { token: anew });
      return page.status === 200 ? page.body.items : null;
    }, 'the restored tenant is listed');
    assert.equal(listed.length, cards.length);
    assert.deepEqual(readdirSync(path.join(service.data, 'tenants')).filter((name) => name.includes('restored')), []);
  } finally {
    await service.destroy();
  }
});
