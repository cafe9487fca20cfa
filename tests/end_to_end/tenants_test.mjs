// More tenants than connections to PostgreSQL (bench/tenants.mjs, reduced): nothing is lost or done twice, no tenant
// starves or waits past its deadline, and the service keeps to the number of connections it was given.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const bench = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../bench/tenants.mjs');

test('twelve tenants share the ten connections of the whole service', async () => {
  const { stdout } = await run(process.execPath, [bench, '--tenants', '12', '--connections', '10', '--seconds', '3', '--workers', '16'], { timeout: 150_000 });
  const result = JSON.parse(stdout.trim().split('\n').at(-1));
  assert.equal(result.lost + result.doubled, 0, stdout);
  assert.equal(result.starved, 0, stdout);
  assert.equal(result.answers_after_their_deadline, 0, stdout);
  assert.ok(result.busy.answers > 0 && result.rare.answers > 0, stdout);
  assert.ok(result.connections_at_most <= 10, stdout);
});
