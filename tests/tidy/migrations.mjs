// A migration that has landed is never edited: stores have taken it already, and an edited one makes two schemas with one
// number. Its hash stands in migrations.sha256; a new step is a new file and a new line there.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.dirname(fileURLToPath(import.meta.url));

// Read models are thrown away and made anew when their format changes: theirs is no history.
const DERIVED = new Set(['adapters/projections_sqlite', 'adapters/projections_postgres']);

export function findings(root, list) {
  const landed = new Map(list.trim().split('\n').map((line) => line.split('  ').reverse()));
  const found = [];
  for (const adapter of readdirSync(path.join(root, 'adapters')).sort()) {
    if (DERIVED.has(`adapters/${adapter}`)) continue;
    const migrations = path.join(root, 'adapters', adapter, 'migrations');
    let names;
    try { names = readdirSync(migrations).sort(); } catch { continue; }
    names.forEach((name, index) => {
      const file = `adapters/${adapter}/migrations/${name}`;
      const hash = createHash('sha256').update(readFileSync(path.join(migrations, name))).digest('hex');
      if (name !== `${String(index + 1).padStart(4, '0')}.sql`) found.push(`${file}: steps are numbered without a gap`);
      if (!landed.has(file)) found.push(`${file}: not in migrations.sha256; add "${hash}  ${file}"`);
      else if (landed.get(file) !== hash) found.push(`${file}: has landed and is edited; make a new step`);
      landed.delete(file);
    });
  }
  for (const file of landed.keys()) found.push(`${file}: has landed and is gone`);
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = findings(path.join(folder, '../..'), readFileSync(path.join(folder, 'migrations.sha256'), 'utf8'));
  for (const line of found) console.error(line);
  process.exitCode = found.length === 0 ? 0 : 1;
}
