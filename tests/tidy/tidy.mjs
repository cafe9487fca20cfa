#!/usr/bin/env node
// The style of ../shared/CONVENTIONS.md as a test: include directions (DESIGN 2.5), length of lines,
// functions and files, banned functions, side effects in asserts, reasons of limits, READMEs, the list of decisions, what pages name, format.
// Usage: tidy.mjs [--root DIR] [--no-format]. Prints one line per finding; exit status 1 when there is one.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { checkPages } from './pages.mjs';

const LINE_COLUMNS_MAX = 100;
const FUNCTION_LINES_MAX = 70;
const FILE_LINES_MAX = 800;
const LAYERS = ['messages', 'runtime', 'actors', 'adapters'];
const TOP_FOLDERS_WITH_README = [...LAYERS, 'tests', 'bench', 'deploy', 'docs'];

const BELOW_THE_PARTS = ['messages/', 'runtime/', 'actors/domain/', 'actors/ports/'];
const SHARED_BY_THE_PARTS = /^actors\/[a-z_]+\.h$/;

// What a folder may include of ours, longest prefix first. Everything not listed is refused.
const MAY_INCLUDE = [
  ['messages/', ['messages/']],
  ['runtime/', ['runtime/']],
  ['actors/domain/', ['messages/', 'actors/domain/']],
  ['actors/ports/', ['messages/', 'runtime/', 'actors/ports/']],
  // The parts of the roles talk by messages only: none includes another's, and what they share includes none of them.
  ...['shard', 'gateway', 'relay', 'neighbours'].map((part) => [`actors/${part}/`, [...BELOW_THE_PARTS, SHARED_BY_THE_PARTS, `actors/${part}/`]]),
  ['actors/', [...BELOW_THE_PARTS, SHARED_BY_THE_PARTS]],
  ['adapters/shared_sqlite/', ['messages/', 'runtime/', 'adapters/shared_sqlite/']],
  ['adapters/shared_postgres/', ['messages/', 'runtime/', 'adapters/shared_postgres/']],
  ['adapters/cli/', ['messages/', 'runtime/', 'actors/', 'adapters/']],
];

// Clock, randomness, sockets, loop and processes: only adapters and runtime/platform_* (DESIGN 2.5).
const PLATFORM_HEADERS = new Set([
  'uv.h', 'zmq.h', 'czmq.h', 'time.h', 'sys/time.h', 'sys/random.h', 'sys/socket.h', 'sys/wait.h',
  'pthread.h', 'sodium.h', 'signal.h', 'poll.h', 'sys/epoll.h', 'netinet/in.h',
]);
const PLATFORM_EXCEPTIONS = [
  /^adapters\//,
  /^runtime\/platform_[a-z_]+\.[ch]$/,
];

const BANNED = {
  strcpy: 'memcpy with a known size', strncpy: 'memcpy with a known size', strcat: 'snprintf or memcpy',
  strncat: 'snprintf or memcpy', sprintf: 'snprintf', vsprintf: 'vsnprintf', gets: 'fgets',
  strtok: 'a loop over the text', atoi: 'strtoll with checks', atol: 'strtoll with checks',
  atof: 'strtod with checks', alloca: 'a bounded array', system: 'posix_spawn', popen: 'posix_spawn',
  rand: 'random_below', srand: 'random_fill', tmpnam: 'mkstemp', mktemp: 'mkstemp', sleep: 'a timer',
  usleep: 'a timer', setjmp: 'result_t', longjmp: 'result_t',
};

function cSourcesBelow(root, folder) {
  const found = [];
  const pending = [folder];
  while (pending.length > 0) {
    const current = pending.pop();
    for (const entry of readdirSync(path.join(root, current), { withFileTypes: true })) {
      const relative = `${current}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules' && entry.name !== 'corpus') pending.push(relative);
      } else if (/\.(c|h|def)$/.test(entry.name)) {
        found.push(relative);
      }
    }
  }
  return found.sort();
}

// The code with comments and literals blanked, so that words in them are no findings; lines stay.
function withoutCommentsAndLiterals(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g,
    (match) => match.replace(/[^\n]/g, ' '));
}

function checkIncludes(file, lines, report) {
  const rule = MAY_INCLUDE.find(([prefix]) => file.startsWith(prefix));
  const adapter = /^adapters\/([a-z_]+)\//.exec(file);
  lines.forEach((line, index) => {
    const include = /^\s*#\s*include\s+(["<])([^">]+)[">]/.exec(line);
    if (include === null) return;
    const [, quote, target] = include;
    if (/\.c$/.test(target)) report(file, index, `includes a .c file: ${target}`);
    if (quote === '<') {
      const base = LAYERS.some((layer) => file.startsWith(`${layer}/`));
      if (base && PLATFORM_HEADERS.has(target) && !PLATFORM_EXCEPTIONS.some((allowed) => allowed.test(file))) {
        report(file, index, `includes <${target}>: only adapters and runtime/platform_* may`);
      }
      return;
    }
    if (!target.includes('/')) {
      report(file, index, `includes "${target}": write the path from the root of the repository`);
      return;
    }
    let allowed = rule ? rule[1] : null;
    if (rule === undefined && adapter !== null) {
      allowed = ['messages/', 'runtime/', 'actors/', `adapters/${adapter[1]}/`];
      // shared_VENDOR: what the adapters X_VENDOR have in common, and no adapter itself.
      const vendor = /_([a-z]+)$/.exec(adapter[1]);
      if (vendor !== null) allowed.push(`adapters/shared_${vendor[1]}/`);
    }
    if (allowed !== null && !allowed.some((each) => (each instanceof RegExp ? each.test(target) : target.startsWith(each)))) {
      report(file, index, `may not include "${target}" (DESIGN 2.5)`);
    }
    const internal = /^(.*)\/[a-z_]+_internal\.h$/.exec(target);
    if (internal !== null && path.dirname(file) !== internal[1] && !file.startsWith('tests/')) {
      report(file, index, `includes the insides of another folder: "${target}"`);
    }
  });
}

function checkLengths(file, lines, report) {
  if (lines.length > FILE_LINES_MAX && !file.endsWith('.def')) {
    report(file, FILE_LINES_MAX, `has ${lines.length} lines, at most ${FILE_LINES_MAX}`);
  }
  lines.forEach((line, index) => {
    // A .def line is a row of a table: one line per field, however long its description.
    if ([...line].length > LINE_COLUMNS_MAX && !file.endsWith('.def')) {
      report(file, index, `has ${[...line].length} columns, at most ${LINE_COLUMNS_MAX}`);
    }
  });
  // The format puts the brace of a function, and of nothing else that has statements, into column 0.
  let start = -1;
  lines.forEach((line, index) => {
    if (line === '{') start = index;
    if (line.startsWith('}') && start >= 0) {
      const length = index - start - 1;
      if (length > FUNCTION_LINES_MAX) report(file, start, `function of ${length} lines, at most ${FUNCTION_LINES_MAX}`);
      start = -1;
    }
  });
}

function checkWords(file, code, report) {
  code.split('\n').forEach((line, index) => {
    for (const call of line.matchAll(/(?<![\w.>])([a-z]+)\s*\(/g)) {
      if (Object.hasOwn(BANNED, call[1])) report(file, index, `${call[1]} is banned: use ${BANNED[call[1]]}`);
    }
    const assertion = /(?<!\w)assert\s*\((.*)\)\s*;/.exec(line);
    if (assertion !== null && /\+\+|--|[^=!<>]=[^=]/.test(assertion[1])) {
      report(file, index, 'assert has a side effect');
    }
    // A header that goes on in the next line has more opening than closing parentheses.
    const isWhole = (line.match(/\(/g) ?? []).length === (line.match(/\)/g) ?? []).length;
    if (isWhole && /^\s*(if|for|while)\s*\(.*\)\s*[^{]*;\s*$/.test(line) && !/while\s*\(.*\);/.test(line)) {
      report(file, index, 'a branch or loop without braces');
    }
  });
}

function checkLimits(root, report) {
  const file = 'runtime/limits.h';
  if (!existsSync(path.join(root, file))) return;
  const lines = readFileSync(path.join(root, file), 'utf8').split('\n');
  lines.forEach((line, index) => {
    if (!/^\s+LIMIT_[A-Z0-9_]+\s*=/.test(line)) return;
    const next = lines.findIndex((other, at) => at > index && /^\s+LIMIT_|^\s*\/\*|^\s*$|^};/.test(other));
    if (!lines.slice(index, next).join('').includes('/*')) { // each its own, not its neighbour's
      report(file, index, 'a limit without its reason');
    }
  });
}

function checkReadmes(root, report) {
  for (const folder of TOP_FOLDERS_WITH_README) {
    if (!existsSync(path.join(root, folder, 'README.md'))) report(folder, 0, 'has no README.md');
  }
}

// A page nobody finds settles nothing: docs/decisions/README.md links each one, and none that is not there.
function checkDecisions(root, report) {
  const folder = path.join(root, 'docs/decisions');
  if (!existsSync(folder)) return;
  const index = path.join(folder, 'README.md');
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md').sort();
  const linked = [...(existsSync(index) ? readFileSync(index, 'utf8') : '').matchAll(/^\| \[\d+\]\(([^)]+)\) \|/gm)].map(([, page]) => page);
  for (const page of pages) {
    if (!linked.includes(page)) report(`docs/decisions/${page}`, 0, 'has no line in docs/decisions/README.md');
  }
  for (const page of linked) {
    if (!pages.includes(page)) report('docs/decisions/README.md', 0, `lists ${page}, which does not exist`);
  }
  const numbers = pages.map((page) => page.slice(0, 4));
  for (const [at, number] of numbers.entries()) {
    if (numbers.indexOf(number) !== at) report(`docs/decisions/${pages[at]}`, 0, `has the number of another page: ${number}`);
  }
}

function checkFormat(root, files, report) {
  const formatted = files.filter((file) => /\.[ch]$/.test(file) && file !== 'messages/messages.h');
  for (let start = 0; start < formatted.length; start += 50) {
    try {
      execFileSync('clang-format', ['--dry-run', '-Werror', '--style=file', ...formatted.slice(start, start + 50)],
        { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      if (error.code === 'ENOENT') throw new Error('clang-format is missing: tests/run.sh installs it');
      const seen = new Set();
      for (const match of String(error.stderr).matchAll(/^([^:\n]+):(\d+):\d+: error/gm)) {
        if (seen.has(match[1])) continue;
        seen.add(match[1]);
        report(path.relative(root, path.resolve(root, match[1])), Number(match[2]) - 1, 'is not formatted: clang-format -i');
      }
    }
  }
}

function main() {
  const flags = process.argv.slice(2);
  const rootFlag = flags.indexOf('--root');
  const root = path.resolve(rootFlag >= 0 ? flags[rootFlag + 1] : path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..'));
  const findings = [];
  const report = (file, index, what) => findings.push(`${file}:${index + 1}: ${what}`);
  const folders = [...LAYERS, 'tests', 'bench'].filter((folder) => existsSync(path.join(root, folder)) && statSync(path.join(root, folder)).isDirectory());
  const files = folders.flatMap((folder) => cSourcesBelow(root, folder));
  for (const file of files) {
    const text = readFileSync(path.join(root, file), 'utf8');
    const lines = text.split('\n');
    checkIncludes(file, lines, report);
    checkLengths(file, lines, report);
    checkWords(file, withoutCommentsAndLiterals(text), report);
  }
  checkLimits(root, report);
  checkReadmes(root, report);
  checkDecisions(root, report);
  checkPages(root, report);
  if (!flags.includes('--no-format')) checkFormat(root, files, report);
  for (const finding of findings) console.log(finding);
  console.log(`tidy: ${files.length} files, ${findings.length} findings`);
  process.exit(findings.length === 0 ? 0 : 1);
}

main();
