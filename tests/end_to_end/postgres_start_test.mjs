// Starting with PostgreSQL: down at the first start and at a later one, refusing, over TLS.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Postgres } from './postgres.mjs';
import { run, Service, until } from './service.mjs';

let postgres;
let service;
let token;
let card;

before(async () => {
  postgres = await Postgres.start();
  service = await Service.make({ arguments: ['--shards', '1'] });
});
after(async () => {
  await service?.destroy();
  await postgres?.destroy();
});

const ready = () => service.request('GET', '/health/ready').then((reply) => reply.status, () => 0);
const said = (text) => until(() => service.log.includes(text), `the log says: ${text}`);

test('down at the first start: the service waits, says why, and takes no connection', async () => {
  process.env.DIGITALCARD_STORE = postgres.url;
  await postgres.crash();
  const started = service.spawn();
  await said('waiting for PostgreSQL');
  assert.match(service.log, /Connection refused/);
  assert.equal(await ready(), 0);
  await postgres.spawn();
  await started;
  token = await service.tenant('acme');
  card = await service.issue('acme', token);
});

test('down at a later start: alive, not ready, 503 at the gate, and ready when the server is', async (t) => {
  await service.stop();
  await postgres.crash();
  const started = service.spawn();
  await until(async () => (await service.request('GET', '/health/live').catch(() => null))?.status === 200, 'it is alive');
  await said('PostgreSQL cannot be used yet');
  const answer = await service.request('GET', '/health/ready');
  assert.equal(answer.status, 503);
  const before_ = Date.now();
  assert.equal((await service.scan('acme', token, card.qr.text)).status, 503);
  t.diagnostic(`503 after ${Date.now() - before_} ms`);
  const failures = () => service.request('GET', '/metrics').then((reply) => reply.raw.toString().split('\n')
    .filter((line) => line.startsWith('digitalcard_control_store_failures_total')).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0));
  await until(async () => await failures() > 0, 'the failures are counted');
  await postgres.spawn();
  await started;
  await until(async () => (await service.scan('acme', token, card.qr.text)).status === 200, 'the gate goes on');
});

test('a wrong password: not ready, the reason in the log, the password nowhere', async () => {
  await service.stop();
  process.env.DIGITALCARD_STORE = postgres.url.replace('secret@', 'mistaken@');
  const started = service.spawn().catch((error) => error);
  await said('password authentication failed');
  await until(async () => await ready() === 503, 'it is not ready');
  await until(async () => (await service.request('GET', '/metrics')).raw.toString().split('\n')
    .some((line) => line.startsWith('digitalcard_control_store_failures_total') && Number(line.split(' ').at(-1)) > 0), 'it is counted');
  assert.ok(!service.log.includes('mistaken'));
  await service.stop();
  assert.match(String(await started), /the service ended/);
  const other = await service.tryCommand('tenant', 'create', 'other', '--data', service.data);
  assert.equal(other.status, 1);
  assert.match(other.stderr, /password authentication failed/);
});

test('a server without TLS is refused when the URL demands it', async () => {
  process.env.DIGITALCARD_STORE = `${postgres.url}?sslmode=require`;
  const refused = await service.tryCommand('tenant', 'create', 'other', '--data', service.data);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /SSL was required/);
});

test('over TLS when the URL asks: every connection, and a server that cannot prove itself is refused', async () => {
  const files = `${postgres.directory}/data`;
  for (const name of ['server', 'other']) {
    await run('openssl', ['req', '-new', '-x509', '-days', '2', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', `${files}/${name}.key`, '-out', `${postgres.directory}/${name}.crt`]);
    if (process.getuid() === 0) await run('chown', ['postgres', `${files}/${name}.key`]);
    chmodSync(`${files}/${name}.key`, 0o600);
    chmodSync(`${postgres.directory}/${name}.crt`, 0o644);
  }
  await postgres.crash();
  postgres.settings.push('ssl=on', `ssl_key_file=${files}/server.key`, `ssl_cert_file=${postgres.directory}/server.crt`);
  await postgres.spawn();
  const verified = (name) => `${postgres.url}?sslmode=verify-full&sslrootcert=${postgres.directory}/${name}.crt`;
  process.env.DIGITALCARD_STORE = verified('other');
  const refused = await service.tryCommand('tenant', 'create', 'other', '--data', service.data);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /certificate verify failed/);
  process.env.DIGITALCARD_STORE = verified('server');
  await service.spawn();
  await until(async () => (await service.scan('acme', token, card.qr.text)).status === 200, 'the gate goes on');
  const plain = await postgres.sql("SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name LIKE 'digitalcard%' AND NOT ssl");
  const sealed = await postgres.sql("SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name LIKE 'digitalcard%' AND ssl");
  assert.equal(plain, '0');
  assert.ok(Number(sealed) >= 3, `${sealed} connections`);
});
