// Full load by HTTP and ROUTER while random roles are killed, stopped, told to end and restarted, from a seed; then as
// long as a fourth of that without faults. Nothing acknowledged may be lost or doubled, no sequence may have a gap, and
// neither memory nor descriptors nor threads may grow: of no incarnation while it lives, of no role from one incarnation
// to the next, and not of the supervisor, who lives through all of it.
//   15 s; 600 s with DIGITALCARD_TEST_FULL=1; or `node tests/end_to_end/chaos_test.mjs --minutes N`.
//   DIGITALCARD_TEST_SEED repeats commands and faults, though not what the machine makes of their moments.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { ApiClient, EventFollower } from './clients.mjs';
import { Ledger, checkHistories, checkJournal, choose, generator, overHttp, overRouter, perform } from './ledger.mjs';
import { measure, median, roleProcesses, slope } from './processes.mjs';
import { Service, until } from './service.mjs';

const asked = process.argv.indexOf('--minutes');
const SECONDS = asked >= 0 ? 60 * Number(process.argv[asked + 1]) : process.env.DIGITALCARD_TEST_FULL === '1' ? 600 : 15;
const CALM_SHARE = 0.2; // of the time, at the end
const SEED = Number(process.env.DIGITALCARD_TEST_SEED ?? Date.now() % 1_000_000);
const CARDS = 1000; // of each tenant, all the time: a new one takes the place of an old one
const WORKERS = 24; // of each tenant; half of them by HTTP, half by ROUTER
const TENANTS = ['acme', 'beta'];
const PARTITIONS = 4;
// Cards stay in memory once used, which is no leak; so that flat can mean flat, few new ones come.
const MIX = { issue: 0.002, replace: 0.0005, revoke: 0.0005 };
const WATCHDOG_MS = 1500;
const FAILURES_MAX = 3; // of one role in ten seconds: five more end the service, by design
const FAULT_MS = [250, 1750]; // between two faults
const MEGABYTE = 1048576;
const WARM_MS = 2000; // of an incarnation, before it is compared
const DESCRIPTORS_SLACK = 8; // journals that were not open before, and their threads
const BOUND = { rss: 192 * MEGABYTE, descriptors: 256, threads: 16 };

// --- Faults ---

const FAULTS = [
  { name: 'kill -9', share: 0.5, counts: true, act: (role) => process.kill(role.pid, 'SIGKILL') },
  { name: 'stopped, then killed by the watchdog', share: 0.1, counts: true, act: (role) => process.kill(role.pid, 'SIGSTOP') },
  { name: 'stopped for a while', share: 0.15, counts: false, act: (role, random) => pauseFor(role.pid, 50 + random() * 700) },
  { name: 'SIGTERM to a role', share: 0.15, counts: false, act: (role) => process.kill(role.pid, 'SIGTERM') },
  { name: 'SIGHUP to the service', share: 0.1, counts: false, act: (role, random, service) => service.process.kill('SIGHUP') },
];

function pauseFor(pid, milliseconds) {
  process.kill(pid, 'SIGSTOP');
  setTimeout(() => { try { process.kill(pid, 'SIGCONT'); } catch { /* it is gone */ } }, milliseconds);
}

async function breakThings(service, random, until_ms, faults) {
  const failures = new Map(); // role name → moments
  while (Date.now() < until_ms) {
    await new Promise((resolve) => setTimeout(resolve, FAULT_MS[0] + random() * (FAULT_MS[1] - FAULT_MS[0])));
    let dice = random();
    const fault = FAULTS.find((candidate) => (dice -= candidate.share) < 0) ?? FAULTS[0];
    const which = random();
    const recent = (name) => (failures.get(name) ?? []).filter((moment) => Date.now() - moment < 10_000);
    const possible = roleProcesses(service.process.pid).filter((role) => !fault.counts || recent(role.name).length < FAILURES_MAX);
    const role = possible[Math.floor(which * possible.length)];
    if (role === undefined || Date.now() >= until_ms) continue;
    try {
      fault.act(role, random, service);
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
      continue; // it had just ended
    }
    if (fault.counts) failures.set(role.name, [...recent(role.name), Date.now()]);
    faults[fault.name] = (faults[fault.name] ?? 0) + 1;
  }
}

// --- Memory, descriptors, threads ---

class Watch {
  constructor(service) {
    this.service = service;
    this.began = Date.now();
    this.lives = new Map(); // pid → { name, first, samples }
    this.timer = setInterval(() => this.look(), SECONDS > 60 ? 500 : 200);
  }

  look(pss = false) {
    const supervisor = { pid: this.service.process.pid, name: 'supervisor' };
    for (const { pid, name } of [supervisor, ...roleProcesses(supervisor.pid)]) {
      const numbers = measure(pid, { pss });
      if (numbers === null) continue;
      const now = Date.now() - this.began;
      if (!this.lives.has(pid)) this.lives.set(pid, { name, first: now, samples: [] });
      this.lives.get(pid).samples.push({ at: now, age: now - this.lives.get(pid).first, ...numbers });
    }
  }

  stop() { clearInterval(this.timer); }

  // Of each role: how its incarnations fare at the same age as the run goes on, the longest of them, the worst value.
  report() {
    const report = {};
    for (const life of this.lives.values()) (report[life.name] ??= { lives: [] }).lives.push(life);
    for (const [name, role] of Object.entries(report)) {
      const warm = role.lives.flatMap((life) => life.samples.filter((sample) => sample.age >= WARM_MS));
      // One value per incarnation: those of its third to fifth second.
      const young = role.lives.map((life) => life.samples.filter((sample) => sample.age >= WARM_MS && sample.age < WARM_MS + 3000)).filter((samples) => samples.length > 0)
        .map((samples) => [samples[0].at / 60_000, median(samples.map((sample) => sample.own)) / MEGABYTE]);
      const longest = role.lives.toSorted((a, b) => b.samples.at(-1).age - a.samples.at(-1).age)[0];
      const later = longest.samples.filter((sample) => sample.age >= longest.samples.at(-1).age / 3);
      const most = (of) => role.lives.flatMap((life) => life.samples).reduce((worst, sample) => Math.max(worst, sample[of]), 0);
      const round = (value) => Math.round(value * 100) / 100;
      report[name] = {
        incarnations: role.lives.length,
        rss_mb_median: round(median(warm.map((sample) => sample.rss)) / MEGABYTE || 0), rss_mb_most: round(most('rss') / MEGABYTE),
        // Memory of its own, megabytes per minute: from one incarnation to the next, and within the one that lived longest.
        between_mb_per_min: young.length >= 8 ? round(slope(young)) : null,
        longest_s: round(longest.samples.at(-1).age / 1000),
        within_mb_per_min: round(slope(later.map((sample) => [sample.at / 60_000, sample.own / MEGABYTE]))),
        pss_mb_at_end: round((longest.samples.at(-1).pss ?? 0) / MEGABYTE),
        descriptors_most: most('descriptors'), threads_most: most('threads'),
        descriptors_per_min: round(slope(warm.map((sample) => [sample.at / 60_000, sample.descriptors]))),
        threads_per_min: round(slope(warm.map((sample) => [sample.at / 60_000, sample.threads]))),
      };
    }
    return report;
  }
}

function checkFlat(report, seconds) {
  const minutes = seconds / 60;
  for (const [name, role] of Object.entries(report)) {
    assert.ok(role.rss_mb_most * MEGABYTE <= BOUND.rss, `memory of ${name}: ${JSON.stringify(role)}`);
    assert.ok(role.descriptors_most <= BOUND.descriptors, `descriptors of ${name}: ${JSON.stringify(role)}`);
    assert.ok(role.threads_most <= BOUND.threads, `threads of ${name}: ${JSON.stringify(role)}`);
    if (seconds < 120) continue; // a slope of seconds is warm-up and chance
    const growth = (perMinute) => (perMinute ?? 0) * minutes;
    assert.ok(growth(role.between_mb_per_min) <= Math.max(8, role.rss_mb_median / 4), `${name} grows from one incarnation to the next: ${JSON.stringify(role)}`);
    assert.ok(role.within_mb_per_min * (role.longest_s / 60) <= Math.max(8, role.rss_mb_median / 4), `${name} grows while it lives: ${JSON.stringify(role)}`);
    assert.ok(growth(role.descriptors_per_min) <= 8, `descriptors of ${name} grow: ${JSON.stringify(role)}`);
  }
}

// --- The run ---

// One tenant under load: its clients, its cards, what was acknowledged to it.
class Tenant {
  static async open(service, name, seed) {
    const tenant = new Tenant();
    Object.assign(tenant, { service, name, ledger: new Ledger(), cards: [], commands: 0, random: generator(seed) });
    tenant.token = await service.tenant(name, '--partitions', String(PARTITIONS));
    tenant.follower = new EventFollower(service.events, name, { keep: false });
    await tenant.follower.ready();
    tenant.agent = new http.Agent({ keepAlive: true, maxSockets: WORKERS });
    tenant.client = new ApiClient(service.api, name, tenant.token);
    while (tenant.cards.length < CARDS) tenant.cards.push(await service.issue(name, tenant.token, { member_id: `first-${tenant.cards.length}` }));
    return tenant;
  }

  async work(until_ms) {
    const senders = [overHttp(this.service, this.name, this.token, this.agent), overRouter(this.client)];
    await Promise.all(Array.from({ length: WORKERS }, async (_, worker) => {
      while (Date.now() < until_ms) {
        this.commands += 1;
        const command = choose(this.random, this.cards, this.commands, MIX);
        const body = await perform(senders[worker % 2], command, this.ledger);
        this.ledger.record(command, body);
        if (body !== null && (command.type === 'card.issue' || command.type === 'card.replace')) this.cards[this.commands % CARDS] = body;
      }
    }));
  }

  // Open sockets would keep a failed test from ending.
  close() {
    this.agent.destroy();
    this.client.close();
    this.follower.close();
  }

  async check() {
    const cards = await checkHistories(this.service, this.name, this.token, this.ledger);
    assert.deepEqual(this.follower.contradictions, [], 'one sequence with two events');
    const journal = await checkJournal(this.client, PARTITIONS, this.follower.places);
    return { tenant: this.name, commands: this.commands, ...this.ledger.counts, cards, events_in_journal: journal.events, published: this.follower.places.size,
      repaired_by_subscriber: journal.repaired, delivered_twice: this.follower.doubled, validations_checked: this.ledger.validations.size,
      changes_checked: this.ledger.changes.size, issues_checked: this.ledger.issued.size };
  }
}

async function run(service, tenants, t) {
  for (const [index, name] of TENANTS.entries()) tenants.push(await Tenant.open(service, name, SEED + index));
  const commands = () => tenants.reduce((sum, tenant) => sum + tenant.commands, 0);
  const idle = Object.fromEntries(roleProcesses(service.process.pid).map(({ name, pid }) => [name, measure(pid).descriptors]));
  const watch = new Watch(service);
  const started = Date.now();
  const faults = {};
  const work = Promise.all(tenants.map((tenant) => tenant.work(started + SECONDS * 1000)));
  await Promise.race([breakThings(service, generator(SEED + 100), started + SECONDS * 1000 * (1 - CALM_SHARE), faults), work]);
  const [calmFrom, before] = [Date.now(), commands()];
  await work;
  const seconds = (Date.now() - started) / 1000;
  const calmRate = (commands() - before) / ((Date.now() - calmFrom) / 1000);
  watch.look(true);
  watch.stop();
  const restarts = Object.fromEntries((await until(() => service.tree().catch(() => null), 'the tree answers')).roles.map((role) => [role.name, role.restarts]));
  t.diagnostic(JSON.stringify({ seed: SEED, seconds, commands: commands(), rate: Math.round(commands() / seconds), rate_without_faults: Math.round(calmRate), faults, restarts }));
  for (const tenant of tenants) {
    t.diagnostic(JSON.stringify(await tenant.check()));
    tenant.close();
  }

  // With its clients gone a role keeps no descriptor of theirs.
  for (const { name, pid } of roleProcesses(service.process.pid)) {
    await until(() => measure(pid).descriptors <= idle[name] + DESCRIPTORS_SLACK, `${name} gives back the descriptors of its clients`, 20_000);
  }
  assert.equal((await service.stop()).code, 0);
  const verified = JSON.parse(await service.command('store', 'verify', '--json'));
  assert.ok(verified.sound, JSON.stringify(verified));
  const report = watch.report();
  for (const [name, role] of Object.entries(report)) t.diagnostic(`${name} ${JSON.stringify(role)}`);
  checkFlat(report, seconds);
}

test(`${SECONDS} s of full load through random kills: nothing lost or doubled, nothing grows`, { timeout: (SECONDS * 3 + 300) * 1000 }, async (t) => {
  const service = await Service.start({ arguments: ['--shards', '2', '--watchdog-ms', String(WATCHDOG_MS)] });
  const tenants = [];
  try {
    await run(service, tenants, t);
  } catch (error) {
    t.diagnostic(`seed ${SEED}; the service's last lines:\n${service.log.slice(-6000)}`);
    throw error;
  } finally {
    for (const tenant of tenants) tenant.close();
    await service.destroy();
  }
});
