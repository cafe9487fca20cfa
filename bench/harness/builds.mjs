// Builds against each other: the same short run on each in turn, round after round, so that whatever else the machine does falls on all of
// them. Prints medians (least–most) of rate, latency, processor time and context switches given up by choice, per validation and by process;
// the peer and pgbench beside them with --yardsticks.
// Usage: node bench/harness/builds.mjs --builds before=PROGRAM,after=PROGRAM [--store embedded|postgresql] [--runs http-64,router,…]
//   [--rounds 5] [--seconds 3] [--shards N] [--yardsticks] [--more 'further words of serve'] [--partitions 1,4: of the tenant, build by build]
import { Servers, benchWithBudget, contextSwitches, median } from './servers.mjs';

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const BUILDS = option('--builds', 'this=').split(',').map((each) => each.split('='));
const STORE = option('--store', 'postgresql');
const ROUNDS = Number(option('--rounds', '5'));
const SECONDS = option('--seconds', '3');
const HAS_YARDSTICKS = words.includes('--yardsticks');
const RUNS = { 'http-1': ['http', '--connections', '1'], 'http-64': ['http', '--connections', '64'], 'http-256': ['http', '--connections', '256'],
  router: ['api', '--connections', '4', '--pipeline', '64'], 'router-1024': ['api', '--connections', '4', '--pipeline', '256'], 'open': ['http', '--connections', '64', '--rate', option('--rate', '5000')] };
const chosen = option('--runs', 'http-64').split(',');

const figures = new Map(); // name → values by round
const keep = (name, value) => figures.set(name, [...(figures.get(name) ?? []), value]);
const number = (value) => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2));
const spread = (name) => {
  const values = figures.get(name) ?? [];
  return values.length === 0 ? '—' : `${number(median(values))} (${number(Math.min(...values))}–${number(Math.max(...values))})`;
};

async function measure(name, server, run, beside) {
  const pids = [server.child.pid, ...beside];
  const before = contextSwitches(pids);
  const told = await benchWithBudget(server, [...run, '--duration', SECONDS, '--warmup', '0.5', '--cards', '500'], { allowsErrors: run.includes('--rate') });
  if (told.errors > 0) throw new Error(`${name}: ${JSON.stringify(told.error_kinds)} ${told.wrong_answers.join('; ')}`);
  const after = contextSwitches(pids);
  keep(`${name} rate`, told.rate);
  for (const part of ['p50', 'p99', 'p99_9']) keep(`${name} ${part}`, told.latency_us[part] / 1000);
  keep(`${name} cpu`, told.processor_us);
  const switches = [...after].reduce((sum, [thread, count]) => sum + count - (before.get(thread) ?? 0), 0); // of those still there
  keep(`${name} switches`, switches / told.intervals.reduce((sum, interval) => sum + interval.requests, 500));
  for (const [process_, { user, system }] of Object.entries(told.budget)) {
    if (user + system >= 0.1) keep(`${name} of ${process_}`, user + system);
  }
}

const servers = new Servers();
try {
  const postgres = STORE === 'postgresql' || HAS_YARDSTICKS ? await servers.postgres() : undefined;
  const services = {};
  const partitions = option('--partitions', '').split(',').map((each) => Number(each || 1));
  for (const [index, [name, program]] of BUILDS.entries()) {
    const store = STORE === 'postgresql' ? postgres.url(`control_${name}`) : undefined;
    if (store) await postgres.sql(`CREATE DATABASE control_${name}`);
    services[name] = await servers.service(name, { store, program: program || undefined, shards: option('--shards'), partitions: partitions[index] ?? 1, more: option('--more', '').split(' ').filter(Boolean) });
    services[name].beside = store ? [postgres] : [];
  }
  let peer;
  if (HAS_YARDSTICKS) {
    await postgres.sql('CREATE TABLE row_of_bench (id bigserial PRIMARY KEY, card uuid, gate text, result text, at timestamptz DEFAULT now())');
    peer = await servers.peer(postgres, 'transaction');
    peer.beside = [postgres];
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    if (HAS_YARDSTICKS) {
      keep('pgbench rate', await servers.pgbench(postgres, Number(SECONDS)));
      await measure('peer http-64', peer, RUNS['http-64'], [postgres.child.pid]);
    }
    for (const run of chosen) {
      const order = round % 2 === 0 ? BUILDS : [...BUILDS].reverse();
      for (const [name] of order) await measure(`${name} ${run}`, services[name], RUNS[run], services[name].beside.map((other) => other.child.pid));
    }
  }
  if (HAS_YARDSTICKS) console.log(`pgbench: ${spread('pgbench rate')}/s`);
  console.log('| run | per second | p50 ms | p99 ms | p99.9 ms | processor, µs | switches | processor by process, µs |\n|---|---|---|---|---|---|---|---|');
  for (const name of [...figures.keys()].filter((key) => key.endsWith(' cpu')).map((key) => key.slice(0, -4)).sort()) {
    const parts = [...figures.keys()].filter((key) => key.startsWith(`${name} of `)).map((key) => `${key.slice(name.length + 4)} ${median(figures.get(key)).toFixed(1)}`);
    console.log(`| ${name} | ${['rate', 'p50', 'p99', 'p99_9', 'cpu', 'switches'].map((part) => spread(`${name} ${part}`)).join(' | ')} | ${parts.join(', ')} |`);
  }
} finally {
  await servers.stop();
}
