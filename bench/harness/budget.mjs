// The time budget of one validation: processor microseconds by process, user and system, for both stores and protocols. It prints the
// table of docs/performance.md. Usage: node bench/harness/budget.mjs [--seconds S] [--shards N] [--stores embedded,postgresql]
import { Servers, benchWithBudget } from './servers.mjs';

const words = process.argv.slice(2);
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const SECONDS = option('--seconds', '4');
const RUNS = { 'http 1': ['http', '--connections', '1'], 'http 64': ['http', '--connections', '64'], 'router 4 × 64': ['api', '--connections', '4', '--pipeline', '64'] };

const servers = new Servers();
try {
  const postgres = option('--stores', 'embedded,postgresql').includes('postgresql') ? await servers.postgres() : undefined;
  await postgres?.sql('CREATE DATABASE digitalcard');
  for (const store of option('--stores', 'embedded,postgresql').split(',')) {
    const service = await servers.service(store, { store: store === 'postgresql' ? postgres.url('digitalcard') : undefined, shards: option('--shards') });
    service.beside = store === 'postgresql' ? [postgres] : [];
    for (const [name, run] of Object.entries(RUNS)) {
      const told = await benchWithBudget(service, [...run, '--duration', SECONDS, '--warmup', '0.5', '--cards', '500'], {});
      const parts = Object.entries(told.budget).filter(([, { user, system }]) => user + system >= 0.1)
        .sort(([, one], [, other]) => other.user + other.system - one.user - one.system)
        .map(([process_, { user, system }]) => `${process_} ${(user + system).toFixed(1)} (${system.toFixed(1)} kernel)`);
      console.log(`| ${store} | ${name} | ${Math.round(told.rate)} | ${told.processor_us.toFixed(1)} | ${parts.join(', ')} |`);
    }
    await servers.end(service);
  }
} finally {
  await servers.stop();
}
