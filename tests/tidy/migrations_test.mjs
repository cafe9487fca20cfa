// The check finds an edited, a missing, a new and a misnumbered step.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { findings } from './migrations.mjs';

test('a landed migration cannot be edited, taken away or renumbered', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'migrations-'));
  try {
    const folder = path.join(root, 'adapters/journal/migrations');
    mkdirSync(folder, { recursive: true });
    const first = path.join(folder, '0001.sql');
    writeFileSync(first, 'CREATE TABLE a (b);');
    const list = `${createHash('sha256').update('CREATE TABLE a (b);').digest('hex')}  adapters/journal/migrations/0001.sql\n`;
    assert.deepEqual(findings(root, list), []);
    writeFileSync(first, 'CREATE TABLE a (c);');
    assert.match(findings(root, list).join(), /0001\.sql: has landed and is edited/);
    writeFileSync(first, 'CREATE TABLE a (b);');
    writeFileSync(path.join(folder, '0002.sql'), 'DROP TABLE a;');
    assert.match(findings(root, list).join(), /0002\.sql: not in migrations/);
    renameSync(path.join(folder, '0002.sql'), path.join(folder, '0003.sql'));
    assert.match(findings(root, list).join(), /0003\.sql: steps are numbered without a gap/);
    rmSync(path.join(folder, '0003.sql'));
    rmSync(first);
    assert.match(findings(root, list).join(), /0001\.sql: has landed and is gone/);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
