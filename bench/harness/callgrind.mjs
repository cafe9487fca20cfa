// Instructions of user space per validation, role by role: a profile that does not depend on what else the machine does, but for how many
// requests share a turn and a commit. Each role runs below valgrind's callgrind, counting only while the load runs.
//   node bench/harness/callgrind.mjs [--seconds 30] [--functions 10] [--own] [--keep DIRECTORY]
// --own lists functions by what they do themselves, not with what they call. Needs valgrind and a C compiler; the kernel's part and waiting are not in it.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { BINARY, ROOT, Servers, bench, pause, tree } from './servers.mjs';

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const SECONDS = option('--seconds', '30');
const FUNCTIONS = Number(option('--functions', 10));
const RUNS = [
  ['HTTP, 64 connections', ['http', '--connections', '64']],
  ['ROUTER, 4 × 64', ['api', '--connections', '4', '--pipeline', '64']],
];

const control = (pid, ...what) => execFileSync('callgrind_control', [...what, String(pid)], { stdio: ['ignore', 'ignore', 'ignore'] });
const roleOf = (pid) => /--name\0([^\0]+)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1];

function annotated(file) {
  const { stdout } = spawnSync('callgrind_annotate', [...(words.includes('--own') ? [] : ['--inclusive=yes']), '--threshold=99', file], { maxBuffer: 1 << 28 });
  const lines = stdout.toString().split('\n').map((line) => /^\s*([\d,]+) \(\s*[\d.]+%\)\s+(.*)$/.exec(line)).filter(Boolean);
  const [total, ...rest] = lines.map(([, count, what]) => ({ count: Number(count.replaceAll(',', '')), what }));
  return { total: total.count, functions: rest };
}

// 'a/b.c:name [object]' → 'name'; what has no name is told by its object.
function short(what) {
  const [, file, name, object] = /^(.*?):([^[]*?)(?: \[([^\]]*)\])?$/.exec(what);
  return name.startsWith('0x') ? `${path.basename(object ?? file)} (no name)` : name.replace(/\.(part|constprop|isra)\.\d+/g, '').replace(/@@.*/, '').trim();
}

const servers = new Servers();
try {
  const folder = servers.directory('profiles');
  const shim = path.join(folder, 'under_valgrind.so');
  execFileSync('cc', ['-shared', '-fPIC', '-o', shim, path.join(ROOT, 'bench/harness/under_valgrind.c'), '-ldl']);
  Object.assign(process.env, { CALLGRIND_PROGRAM: BINARY, CALLGRIND_FILE: `--callgrind-out-file=${folder}/out.%p`, LD_PRELOAD: shim });
  const starting = servers.service('callgrind', { shards: 1, more: ['--watchdog-ms', '60000'] });
  const service = await starting;
  delete process.env.LD_PRELOAD;
  const roles = new Map(tree(service.child.pid).map((pid) => [roleOf(pid), pid]).filter(([name]) => name !== undefined));
  for (const [title, run] of RUNS) {
    await bench(service, [...run, '--scenario', 'validate', '--cards', '64', '--warmup', '0.1', '--duration', '5', '--timeout', '60000']);
    for (const pid of roles.values()) { control(pid, '-z'); control(pid, '-i', 'on'); }
    const told = await bench(service, [...run, '--scenario', 'validate', '--cards', '64', '--warmup', '0.1', '--duration', SECONDS, '--timeout', '60000']);
    await pause(500); // the relay's part comes a little later
    const known = new Set(readdirSync(folder));
    for (const pid of roles.values()) { control(pid, '-i', 'off'); control(pid, '-d'); }
    const count = told.intervals.reduce((sum, interval) => sum + interval.requests, 64);
    console.log(`\n## ${title}: ${count} validations, ${told.rate.toFixed(0)}/s while counted`);
    for (const [name, pid] of roles) {
      const file = readdirSync(folder).find((each) => each.startsWith(`out.${pid}.`) && !known.has(each));
      const { total, functions } = annotated(path.join(folder, file));
      console.log(`${name.padEnd(10)} ${Math.round(total / count).toLocaleString('en').padStart(8)} instructions per validation`);
      if (!['front-0', 'shard-0'].includes(name)) continue;
      for (const each of functions.slice(0, FUNCTIONS)) console.log(`  ${Math.round(each.count / count).toLocaleString('en').padStart(8)}  ${short(each.what)}`);
    }
  }
  if (words.includes('--keep')) cpSync(folder, option('--keep'), { recursive: true });
} finally {
  await servers.stop();
}
