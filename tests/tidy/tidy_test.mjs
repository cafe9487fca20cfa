// The style check must find what it says it finds: each planted fault, and nothing in a clean tree.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const TIDY = new URL('./tidy.mjs', import.meta.url).pathname;
const FOLDERS = ['messages', 'runtime', 'actors', 'actors/domain', 'actors/ports', 'adapters', 'tests', 'bench', 'deploy', 'docs'];

function findingsFor(files) {
  const root = mkdtempSync(path.join(tmpdir(), 'tidy-'));
  try {
    for (const folder of FOLDERS) mkdirSync(path.join(root, folder), { recursive: true });
    for (const folder of FOLDERS.filter((name) => !name.includes('/'))) writeFileSync(path.join(root, folder, 'README.md'), '# x\n');
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
      writeFileSync(path.join(root, name), text);
    }
    try {
      return execFileSync('node', [TIDY, '--root', root, '--no-format'], { encoding: 'utf8' });
    } catch (error) {
      assert.equal(error.status, 1);
      return error.stdout;
    }
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('a clean tree has no finding', () => {
  assert.match(findingsFor({ 'messages/a.c': '#include "messages/a.h"\nint a(void)\n{\n    return 1;\n}\n', 'messages/a.h': '' }), / 0 findings/);
});

const faults = {
  'a link to a page that is not there': ['docs/a.md', 'see [b](b.md#c)\n', /links to b\.md/],
  'a page that names a file that is gone': ['docs/a.md', 'as `runtime/gone.c` says\n', /names runtime\/gone\.c/],
  'a page that names a limit that is gone': ['docs/a.md', 'at most `LIMIT_GONE`\n', /names LIMIT_GONE/],
  'a README that lists a file of another folder': ['runtime/README.md', '| `moved.c` | nothing |\n', /lists moved\.c/],
  'messages that include the runtime': ['messages/a.c', '#include "runtime/loop.h"\n', /may not include/],
  'a runtime that includes messages': ['runtime/a.c', '#include "messages/text.h"\n', /may not include/],
  'a domain that includes ports': ['actors/domain/a.c', '#include "actors/ports/journal.h"\n', /may not include/],
  'actors that include an adapter': ['actors/a.c', '#include "adapters/http/http_server.h"\n', /may not include/],
  'a part of one role that includes one of another': ['actors/relay/a.c', '#include "actors/shard/shard.h"\n', /may not include/],
  'what roles share that includes a part of one': ['actors/a.c', '#include "actors/shard/shard.h"\n', /may not include/],
  'an adapter that includes another': ['adapters/http/a.c', '#include "adapters/cli/main.h"\n', /may not include/],
  "an adapter that includes what another vendor's share": ['adapters/journal_sqlite/a.c', '#include "adapters/shared_postgres/fields.h"\n', /may not include/],
  'a shared folder that includes an adapter': ['adapters/shared_postgres/a.c', '#include "adapters/journal_postgres/a.h"\n', /may not include/],
  'a clock outside the platform': ['actors/a.c', '#include <time.h>\n', /only adapters and runtime\/platform_/],
  'libuv in plain runtime': ['runtime/a.c', '#include <uv.h>\n', /only adapters and runtime\/platform_/],
  'the insides of another folder': ['adapters/http/a.c', '#include "actors/shard/shard_internal.h"\n', /insides of another folder/],
  'an include of a .c file': ['runtime/a.c', '#include "runtime/b.c"\n', /includes a \.c file/],
  'an include without its folder': ['runtime/a.c', '#include "b.h"\n', /path from the root/],
  'a long line': ['runtime/a.c', `/* ${'x'.repeat(100)} */\n`, /columns, at most 100/],
  'a long function': ['runtime/a.c', `int a(void)\n{\n${'    ;\n'.repeat(71)}}\n`, /function of 71 lines/],
  'a long file': ['runtime/a.c', '\n'.repeat(900), /lines, at most 800/],
  'a banned function': ['runtime/a.c', 'void a(char *b)\n{\n    strcpy(b, "x");\n}\n', /strcpy is banned/],
  'an assert with a side effect': ['runtime/a.c', 'void a(int b)\n{\n    assert(b++ == 1);\n}\n', /side effect/],
  'an assert that assigns': ['runtime/a.c', 'void a(int b)\n{\n    assert(b = 1);\n}\n', /side effect/],
  'a branch without braces': ['runtime/a.c', 'void a(int b)\n{\n    if (b) return;\n}\n', /without braces/],
  'a limit without a reason': ['runtime/limits.h', 'enum {\n    LIMIT_A = 1,\n    LIMIT_B = 2,\n};\n', /limit without its reason/],
  "a limit with its neighbour's reason": ['runtime/limits.h', 'enum {\n    LIMIT_A = 1, /* one */\n    LIMIT_B = 2,\n    LIMIT_C = 3, /* three */\n};\n', /limits\.h:3: a limit without its reason/],
  'a decision without a line in the index': ['docs/decisions/0001-x.md', '# 1. X\n', /0001-x\.md:1: has no line in/],
  'a decision that the index lists and nobody wrote': ['docs/decisions/README.md', '| [1](0001-x.md) | X | y |\n', /lists 0001-x\.md, which does not exist/],
};

test('two decisions of one number are a finding, and two of two numbers with their lines are none', () => {
  const lines = (second) => `| [1](0001-x.md) | X | y |\n| [${Number(second)}](${second}-z.md) | Z | y |\n`;
  const tree = (second) => ({ 'docs/decisions/README.md': lines(second), 'docs/decisions/0001-x.md': '# X\n', [`docs/decisions/${second}-z.md`]: '# Z\n' });
  assert.match(findingsFor(tree('0002')), / 0 findings/);
  assert.match(findingsFor(tree('0001')), /0001-z\.md:1: has the number of another page/);
});

test('adapters of one vendor may share a folder', () => {
  assert.match(findingsFor({ 'adapters/journal_postgres/a.c': '#include "adapters/shared_postgres/fields.h"\n' }), / 0 findings/);
});

for (const [name, [file, text, expected]] of Object.entries(faults)) {
  test(`finds ${name}`, () => assert.match(findingsFor({ [file]: text }), expected));
}

test('a loop whose header takes two lines is no finding', () => {
  const text = 'void a(int b)\n{\n    for (int i = (b + 1) & 7; i != 0;\n         i = (i + 1) & 7) {\n    }\n}\n';
  assert.match(findingsFor({ 'runtime/a.c': text }), / 0 findings/);
});

test('words in comments and literals are no findings', () => {
  assert.match(findingsFor({ 'runtime/a.c': '/* strcpy(a) */\nconst char *a = "system(1)";\n' }), / 0 findings/);
});
