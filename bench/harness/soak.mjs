// bench/soak.sh: the same load for a long time. Memory and descriptors of the whole tree and the latency of every second are drawn on one
// page, with what each role and the database's own memory came to; the run fails when the last quarter needs clearly more than the second one.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, Servers, bench, checkedWords, footprint, median, pause } from './servers.mjs';

const words = checkedWords({ '--minutes': true, '--rate': true, '--store': true, '--scenario': true, '--reports': true });
const option = (name, otherwise) => (words.includes(name) ? words[words.indexOf(name) + 1] : otherwise);
const MINUTES = Number(option('--minutes', 10));
const RATE = Number(option('--rate', 2000));
const STORE = option('--store', 'embedded');
const SCENARIOS = option('--scenario', 'mixed').split(','); // several share the rate
const REPORTS = option('--reports', path.join(ROOT, 'bench/reports'));
const SECONDS = MINUTES * 60;

// What may grow between the second and the last quarter: caches fill, cards are issued, and a busy machine wavers.
const ALLOWED = {
  pss: { ratio: 1.25, more: 24e6, unit: 'MB', scale: 1e6, title: 'Proportional memory of the tree' },
  descriptors: { ratio: 1.05, more: 8, unit: '', scale: 1, title: 'Open descriptors of the tree' },
};
const LATENCY = { ratio: 3, more: 20_000, unit: 'ms', scale: 1000, title: 'p99 of each second' };

function chart(title, unit, points) {
  const [width, height, left, right, bottom] = [860, 220, 70, 36, 30];
  const xMax = Math.max(...points.map(([x]) => x), 1);
  const yMax = Math.max(...points.map(([, y]) => y), 1e-9) * 1.1;
  const x = (value) => (left + (value / xMax) * (width - left - right)).toFixed(1);
  const y = (value) => (height - bottom - (value / yMax) * (height - bottom - 12)).toFixed(1);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(yMax * part)}" y2="${y(yMax * part)}"/>
<text x="${left - 8}" y="${Number(y(yMax * part)) + 4}" text-anchor="end">${(yMax * part).toPrecision(3)}</text>
<text x="${x(xMax * part)}" y="${height - 8}" text-anchor="middle">${(xMax * part / 60).toFixed(1)} min</text>`).join('\n');
  return `<h2>${title}</h2><div class="soft">${unit}</div><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">${grid}
<polyline points="${points.map(([at, value]) => `${x(at)},${y(value)}`).join(' ')}"/></svg>`;
}

const page = (title, lines, charts) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title><style>
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#656d76;--page:#fff;--grid:#d8dee4;--one:#0969da}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--page:#0d1117;--grid:#30363d;--one:#4493f8}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:900px;margin:24px auto;padding:0 16px}
h1{font-size:22px}h2{font-size:16px;margin:24px 0 0}.soft,text{color:var(--soft);fill:var(--soft)}text{font:12px system-ui}svg{width:100%}
.grid{stroke:var(--grid)}polyline{fill:none;stroke:var(--one);stroke-width:1.5}</style></head><body><h1>${title}</h1>
${lines.map((line) => `<p>${line}</p>`).join('')}${charts.join('\n')}</body></html>\n`;

// The median of a part of the samples: a quarter from 0.25 on, the last from 0.75 on.
const quarter = (points, from) => median(points.slice(Math.floor(points.length * from), Math.max(Math.floor(points.length * (from + 0.25)), Math.floor(points.length * from) + 1)).map(([, value]) => value));

// What grew between the second and the last quarter, of each role: memory that is its own, descriptors and threads.
function growth(samples) {
  const roles = [...new Set(samples.flatMap((sample) => Object.keys(sample.roles)))];
  const of = (role, what, from) => quarter(samples.filter((sample) => sample.roles[role]).map((sample) => [sample.at, sample.roles[role][what]]), from);
  return roles.map((role) => {
    const [memory, after] = [of(role, 'anonymous', 0.25), of(role, 'anonymous', 0.75)];
    return `${role}: own memory ${(memory / 1e6).toFixed(1)} → ${(after / 1e6).toFixed(1)} MB, proportional ${(of(role, 'pss', 0.75) / 1e6).toFixed(1)} MB, descriptors `
      + `${of(role, 'descriptors', 0.25)} → ${of(role, 'descriptors', 0.75)}, threads ${of(role, 'threads', 0.25)} → ${of(role, 'threads', 0.75)}`;
  });
}

const servers = new Servers();
let status = 1;
try {
  mkdirSync(REPORTS, { recursive: true });
  const postgres = STORE === 'postgresql' ? await servers.postgres() : undefined;
  await postgres?.sql('CREATE DATABASE digitalcard');
  const service = await servers.service('soak', { store: postgres?.url('digitalcard') });
  process.stderr.write(`soak on ${STORE}: ${SCENARIOS.join(' and ')} at ${RATE}/s for ${MINUTES} minutes\n`);
  const samples = [];
  const databases = [];
  let isOver = false;
  const begin = performance.now();
  const sampling = (async () => {
    while (!isOver) {
      const at = (performance.now() - begin) / 1000;
      samples.push({ at, ...footprint(service.child.pid) });
      if (postgres && samples.length % 10 === 1) { // its shared buffers fill, so what counts is what each process has of its own
        const { anonymous, descriptors, threads } = footprint(postgres.child.pid);
        databases.push({ at, roles: { PostgreSQL: { pss: anonymous, anonymous, descriptors, threads } } });
      }
      if (samples.length % 30 === 0) process.stderr.write(`  ${at.toFixed(0)} s: ${(samples.at(-1).pss / 1e6).toFixed(1)} MB, ${samples.at(-1).descriptors} descriptors\n`);
      await pause(1000);
    }
  })();
  const runs = await Promise.all(SCENARIOS.map((scenario) => bench(service, ['http', '--scenario', scenario, '--connections', '32', '--cards', '1000',
    '--rate', String(RATE / SCENARIOS.length), '--duration', String(SECONDS)], { allowsErrors: true })));
  isOver = true;
  await sampling;
  const curves = { pss: samples.map((sample) => [sample.at, sample.pss]), descriptors: samples.map((sample) => [sample.at, sample.descriptors]) };
  const lines = [];
  const problems = [];
  for (const [index, told] of runs.entries()) {
    const scenario = SCENARIOS[index];
    ALLOWED[scenario] = { ...LATENCY, title: `${scenario}: ${LATENCY.title}` };
    curves[scenario] = told.intervals.filter((interval) => interval.t >= 0).map((interval) => [interval.t, interval.p99]);
    if (told.errors > 0) problems.push(`${scenario}: ${told.errors} errors: ${JSON.stringify(told.error_kinds)}`);
    lines.push(`${STORE}, ${scenario}, ${RATE / SCENARIOS.length}/s asked, ${told.rate.toFixed(0)}/s answered, ${told.requests} requests, `
      + `p50 ${(told.latency_us.p50 / 1000).toFixed(2)}, p99 ${(told.latency_us.p99 / 1000).toFixed(2)}, p99.9 ${(told.latency_us.p99_9 / 1000).toFixed(2)} ms`);
  }
  for (const [name, points] of Object.entries(curves)) {
    const allowed = ALLOWED[name];
    const [second, last] = [quarter(points, 0.25), quarter(points, 0.75)];
    lines.push(`${allowed.title}: second quarter ${(second / allowed.scale).toFixed(2)} ${allowed.unit}, last ${(last / allowed.scale).toFixed(2)} ${allowed.unit}`);
    if (last > second * allowed.ratio + allowed.more) problems.push(`${allowed.title} is not flat: ${second / allowed.scale} to ${last / allowed.scale} ${allowed.unit}`);
  }
  lines.push(...growth(samples), ...growth(databases));
  const file = path.join(REPORTS, `soak-${STORE}.html`);
  writeFileSync(file, page('Soak', [...lines, ...problems], Object.entries(curves).map(([name, points]) => chart(ALLOWED[name].title, ALLOWED[name].unit, points.map(([at, value]) => [at, value / ALLOWED[name].scale])))));
  console.log([...lines, ...problems.map((problem) => `PROBLEM ${problem}`), `report ${file}`].join('\n'));
  status = problems.length === 0 ? 0 : 1;
} finally {
  await servers.stop();
}
process.exit(status);
