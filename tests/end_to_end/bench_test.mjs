// The load harness itself: what it says about delays, stalls and wrong answers of a server that has them on purpose,
// and that it drives the real service without an error. Delays are judged against what the stub measured itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BINARY, Service, freePort, until } from './service.mjs';

const BENCH = path.join(path.dirname(BINARY), 'digitalcard-bench');
const folder = mkdtempSync(path.join(tmpdir(), 'bench-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function bench(words, { token = 'stub', interruptWhen, onStdout, onStderr } = {}) {
  return new Promise((resolve) => {
    const child = spawn(BENCH, words, { env: { ...process.env, DIGITALCARD_TOKEN: token }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000);
    child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; onStdout?.(text); });
    child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; onStderr?.(text); });
    interruptWhen?.then(() => child.kill('SIGINT'));
    child.on('close', (status) => { clearTimeout(deadline); resolve({ status, stdout, stderr }); });
  });
}

async function figures(words, more) {
  const { status, stdout, stderr } = await bench([...words, '--json'], more);
  assert.notEqual(stdout, '', `no figures: ${stderr}`);
  return { status, stderr, ...JSON.parse(stdout) };
}

// Answers as the service would; `delay(number)` says after how many ms, `fault(number)` what is wrong with an answer.
class Stub {
  static async start({ delay = () => 0, fault = () => null } = {}) {
    const stub = new Stub();
    stub.count = 0;
    stub.cards = 0;
    stub.asked = new Map(); // card → how often
    stub.milliseconds = [];
    stub.server = http.createServer((request, response) => stub.answer(request, response, delay, fault));
    stub.server.keepAliveTimeout = 60_000;
    await new Promise((resolve) => stub.server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get url() { return `http://127.0.0.1:${this.server.address().port}`; }

  answer(request, response, delay, fault) {
    request.resume();
    const send = (status, document) => {
      const body = JSON.stringify(document);
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
    };
    const id = /cards\/([0-9a-f-]{36})\//.exec(request.url)?.[1];
    if (id === undefined) {
      this.cards += 1;
      send(201, { id: `01a1facc-e956-76d6-8024-${String(this.cards).padStart(12, '0')}`, status: 'active', qr: { text: 'DC1:STUB', kid: '1' } });
      return;
    }
    const number = this.count;
    this.count += 1;
    const begin = performance.now();
    this.asked.set(id, (this.asked.get(id) ?? 0) + 1);
    const reply = () => {
      this.milliseconds.push(performance.now() - begin);
      const wrong = fault(number);
      if (wrong === 'busy') return send(503, { type: 'x', title: 'x', status: 503, detail: 'x', code: 'busy', trace_id: 'x' });
      if (wrong === 'cut') return request.socket.destroy();
      if (wrong === 'silent') return undefined;
      return send(200, { result: 'valid', reason: wrong === 'verdict' ? 'revoked' : 'valid', message: 'x',
        card: { id: wrong === 'card' ? '01a1facc-0000-76d6-8024-000000000000' : id, status: 'active' },
        validation_id: '01a1facc-e968-7c1e-800a-822e1968be1a', sequence: 1 });
    };
    const wait = delay(number);
    if (wait > 0) setTimeout(reply, wait);
    else reply();
    return undefined;
  }

  percentile(part) {
    const sorted = [...this.milliseconds].sort((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)];
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

async function withStub(options, use) {
  const stub = await Stub.start(options);
  try {
    return await use(stub);
  } finally {
    stub.stop();
  }
}

const load = (stub, ...more) => ['http', '--url', stub.url, '--tenant', 'stub', '--cards', '20', '--warmup', '0', ...more];

test('reports the delays of a server that waits on purpose', () => withStub({ delay: (number) => (number % 10 === 9 ? 120 : 30) }, async (stub) => {
  const told = await figures(load(stub, '--connections', '8', '--duration', '1.5'));
  assert.equal(told.status, 0);
  assert.equal(told.errors, 0);
  assert.ok(told.requests > 100, `${told.requests} requests`);
  // Never less than the server took; the rest is what the machine adds on top, and it may be busy.
  for (const [name, part] of [['p50', 0.5], ['p99', 0.99]]) {
    const server = stub.percentile(part);
    const client = told.latency_us[name] / 1000;
    assert.ok(client > server - 1.5 && client < server + 30, `${name}: told ${client} ms, the server took ${server} ms`);
  }
}));

// For half a second in the middle of two nobody gets an answer.
function stalling() {
  let first = 0;
  return { delay: () => {
    first ||= performance.now();
    const since = performance.now() - first;
    return since > 700 && since < 1200 ? 1200 - since : 0;
  } };
}

test('shows a stall to an open loop in full, however few connections there are', () => withStub(stalling(), async (stub) => {
  const told = await figures(load(stub, '--connections', '2', '--duration', '2', '--rate', '200'));
  assert.equal(told.errors, 0);
  assert.equal(told.requests + told.unsent, 400); // a crowded machine may not get the last ones out
  // A quarter of all requests were due while nothing moved; they waited 0 to 500 ms.
  assert.ok(told.latency_us.p90 > 200_000, `p90 ${told.latency_us.p90}`);
  assert.ok(told.latency_us.max > 450_000, `max ${told.latency_us.max}`);
}));

test('a closed loop hides that stall, which is why there is an open one', () => withStub(stalling(), async (stub) => {
  const told = await figures(load(stub, '--connections', '2', '--duration', '2'));
  assert.ok(told.latency_us.p90 < 200_000, `p90 ${told.latency_us.p90}`);
}));

test('counts what never could be sent with the time it waited', () => withStub({ delay: () => 50 }, async (stub) => {
  const { status, stdout } = await bench(load(stub, '--connections', '1', '--duration', '1', '--rate', '500'));
  assert.equal(status, 1);
  assert.match(stdout, /the rate of 500\/s was not reached: \d+\/s were answered/);
  assert.match(stdout, /all 1 --connections waited for an answer/);
  const told = await figures(load(stub, '--connections', '1', '--duration', '1', '--rate', '500'));
  assert.equal(told.status, 1);
  assert.match(told.stderr, /the rate of 500\/s was not reached: \d+\/s were answered/, 'JSON says it beside the figures');
  assert.ok(told.unsent > 300 && told.reached < 0.2, JSON.stringify({ unsent: told.unsent, reached: told.reached }));
  assert.ok(told.latency_us.p50 > 200_000);
}));

test('a wrong verdict and a verdict about another card are errors', () => withStub({ fault: (number) => ({ 3: 'verdict', 7: 'card' })[number % 10] ?? null }, async (stub) => {
  const told = await figures(load(stub, '--connections', '4', '--duration', '0.5', '--allow-errors'));
  assert.equal(told.status, 1);
  const expected = [...Array(stub.count).keys()].filter((number) => number % 10 === 3 || number % 10 === 7).length;
  // The last answers may come after the end, and count all the same.
  assert.equal(told.wrong, expected);
  assert.equal(told.error_kinds.wrong_answer, told.wrong);
  assert.match(told.wrong_answers[0], /expected/);
}));

test('counts problems, cut connections and silence by their kind', () => withStub({ fault: (number) => ({ 3: 'busy', 7: 'cut', 11: 'silent' })[number % 20] ?? null }, async (stub) => {
  const told = await figures(load(stub, '--connections', '8', '--duration', '1', '--timeout', '200', '--allow-errors'));
  assert.equal(told.status, 0);
  assert.deepEqual(Object.keys(told.error_kinds).sort(), ['busy', 'connection_lost', 'timeout']);
  assert.equal(told.errors, told.error_kinds.busy + told.error_kinds.connection_lost + told.error_kinds.timeout);
  assert.ok(told.requests - told.errors > 50, 'it goes on over new connections');
}));

test('finds the highest rate that keeps a p99', () => withStub({ delay: () => 10 }, async (stub) => {
  const { status, stdout } = await bench(load(stub, '--connections', '4', '--find-rate', '--p99', '3000', '--step', '0.5'));
  assert.equal(status, 0, stdout);
  const rate = Number(/^(\d+)\/s is the highest rate/m.exec(stdout)[1]);
  assert.ok(rate > 10 && rate <= 450, `${rate}/s with 4 connections that take 10 ms`);
}));

test('says that no rate keeps a p99 that the server itself does not', () => withStub({ delay: () => 20 }, async (stub) => {
  const { status, stdout } = await bench(load(stub, '--connections', '4', '--find-rate', '--p99', '10', '--step', '0.1'));
  assert.equal(status, 1, stdout);
  assert.match(stdout, /^no rate keeps a p99 of 10 ms; without a pause it was \d+\/s/m);
  assert.doesNotMatch(stdout, /kept$/m);
}));

// Of a search that found nothing these are the first step's; the last ones ask for so little that their curves hold next to nothing.
test('the curves of a search are those of the step whose figures are told', () => withStub({ delay: () => 20 }, async (stub) => {
  const told = await figures(load(stub, '--connections', '4', '--find-rate', '--p99', '10', '--step', '0.3'));
  const drawn = told.intervals.reduce((sum, interval) => sum + interval.requests, 0);
  assert.equal(drawn, told.requests - told.errors);
}));

// 16 requests are due while the rate rises to 32/s, 16 in the warm-up, 16 in the half second that is measured.
test('a ramp rises from the first moment on, and neither it nor the warm-up is measured', () => withStub({}, async (stub) => {
  const told = await figures(['http', '--url', stub.url, '--tenant', 'stub', '--cards', '4', '--connections', '4', '--rate', '32', '--ramp', '1', '--warmup', '0.5', '--duration', '0.5']);
  assert.equal(told.errors, 0);
  assert.ok(Math.abs(told.requests + told.unsent - 16) <= 1, `${told.requests} and ${told.unsent} measured`);
  const before = stub.count - told.requests;
  assert.ok(Math.abs(before - 32) <= 2, `${before} before`);
}));

test('popular cards are asked about more often, by the skew', async () => {
  for (const [skew, least, most] of [['1', 0.2, 0.4], ['0', 0.01, 0.12]]) {
    await withStub({}, async (stub) => {
      const told = await figures(load(stub, '--connections', '4', '--duration', '3600', '--skew', skew), { interruptWhen: until(() => stub.count > 1000, 'some requests') });
      assert.equal(told.errors, 0);
      const part = Math.max(...stub.asked.values()) / stub.count; // the first of 20 by Zipf's law: 1 / (1 + 1/2 + … + 1/20) = 0.28
      assert.ok(part > least && part < most, `skew ${skew}: ${part} of all were about one card`);
      assert.equal(stub.asked.size, 20);
    });
  }
});

test('a line tells each second how it goes', () => withStub({}, async (stub) => {
  let seen = '';
  const { status } = await bench(load(stub, '--connections', '2', '--duration', '3600', '--live'),
    { onStderr: (text) => { seen += text; }, interruptWhen: until(() => /errors 0\n.*errors 0\n/.test(seen), 'two lines') });
  assert.equal(status, 0);
  assert.match(seen, /^issuing 20 cards/);
  assert.match(seen, /^ +\d+ s of 3600 +[\d,]+\/s +p50 [\d.]+ ms +p99 [\d.]+ ms +errors 0$/m);
}));

test('Ctrl-C tells what was measured', () => withStub({}, async (stub) => {
  const told = await figures(load(stub, '--connections', '2', '--duration', '3600'), { interruptWhen: until(() => stub.count > 100, 'some requests') });
  assert.ok(told.interrupted && told.requests > 50 && told.duration_s < 30);
}));

test('Ctrl-C in a search tells the highest rate so far, and before any figure that there is none', () => withStub({ delay: () => 5 }, async (stub) => {
  let lines = '';
  const search = await bench(load(stub, '--connections', '4', '--find-rate', '--p99', '3000', '--step', '0.3'),
    { onStdout: (text) => { lines += text; }, interruptWhen: until(() => /errors.*\n.*errors.*\n/.test(lines), 'two steps') });
  assert.match(search.stdout, /(\/s is the highest rate found that keeps a p99 of 3000 ms; the search was interrupted|interrupted before a rate was found)/, search.stderr);
  const early = await bench([...load(stub, '--connections', '4', '--duration', '1'), '--warmup', '3600'],
    { interruptWhen: until(() => stub.cards === 40, 'all cards') });
  assert.deepEqual([early.status, early.stdout], [1, '']);
  assert.match(early.stderr, /interrupted before anything was measured/);
}));

test('says what is wrong with its command line, and with status 2', async () => {
  for (const [words, expected] of [
    [['http'], /--url is missing/], [['http', '--url', 'https://x', '--tenant', 'a'], /is no http:\/\/host:port/],
    [['http', '--url', 'http://x', '--tenant', 'a', '--cards', '0'], /--cards must be a whole number from 1/],
    [['http', '--url', 'http://x', '--tenant', 'a', '--pipeline', '2'], /--pipeline is no option/],
    [['api', '--endpoint', 'tcp://x', '--tenant', 'a'], /is no tcp:\/\/host:port/],
    [['api', '--endpoint', 'tcp://x:1', '--tenant', 'a', '--scenario', 'nothing'], /must be validate/],
    [['api', '--endpoint', 'tcp://x:1', '--tenant', 'a', '--rate', 'fast'], /--rate must be a number/],
    [['api', '--endpoint', 'tcp://x:1', '--tenant', 'a', '--poisson'], /--poisson needs --rate/],
  ]) {
    const { status, stderr } = await bench(words);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, expected);
  }
  assert.equal((await bench(['http', '--help'])).status, 0);
});

test('says that a service is not there, or no such service', async () => {
  const port = await freePort();
  const gone = await bench(['http', '--url', `http://127.0.0.1:${port}`, '--tenant', 'a']);
  assert.deepEqual([gone.status, /cannot connect to http:.*refused; does the service run, with this --http\?/.test(gone.stderr)], [1, true], gone.stderr);
  await withStub({}, async (stub) => {
    const other = await bench(['api', '--endpoint', stub.url.replace('http', 'tcp'), '--tenant', 'a']);
    assert.equal(other.status, 1);
    assert.match(other.stderr, /does not speak ZMTP|closed|no answer/);
  });
});

// The kernel takes the connection, and that is all.
test('does not wait for ever for a service that never says a word', async () => {
  const silent = net.createServer((socket) => { socket.on('error', () => {}); socket.resume(); });
  await new Promise((resolve) => { silent.listen(0, '127.0.0.1', resolve); });
  const { port } = silent.address();
  try {
    for (const [words, expected] of [[['api', '--endpoint', `tcp://127.0.0.1:${port}`], /cannot connect to tcp:.*no ZMTP greeting came within --timeout; .* --api\?/],
      [['http', '--url', `http://127.0.0.1:${port}`], /no answer while issuing cards: timeout/]]) {
      const { status, stderr } = await bench([...words, '--tenant', 'a', '--timeout', '200']);
      assert.equal(status, 1);
      assert.match(stderr, expected);
    }
  } finally {
    silent.close();
  }
});

let service;
let token;
before(async () => {
  service = await Service.start({ arguments: ['--shards', '1'] });
  token = await service.tenant('acme');
});
after(() => service.destroy());

for (const scenario of ['validate', 'scan', 'lifecycle', 'mixed', 'bulk', 'events']) {
  const more = () => ['--tenant', 'acme', '--scenario', scenario, '--duration', '0.5', '--warmup', '0.1', '--cards', '50',
    ...(scenario === 'events' ? ['--events', service.events, '--subscribers', '2'] : [])];
  test(`${scenario} over both protocols has no error with the real service`, async () => {
    const report = path.join(folder, `${scenario}.html`);
    const acknowledged = path.join(folder, `${scenario}.log`);
    for (const words of [['http', '--url', service.url, '--connections', '8', '--threads', '2', '--report', report],
      ['api', '--endpoint', service.api, '--connections', '2', '--pipeline', '16', '--keys', '--acknowledged', acknowledged]]) {
      const told = await figures([...words, ...more()], { token });
      assert.deepEqual([told.status, told.errors, told.wrong, told.error_kinds], [0, 0, 0, {}], `${words[0]}: ${JSON.stringify(told.wrong_answers)}`);
      assert.ok(told.requests > 50);
      if (scenario === 'events') assert.ok(told.events.received > told.requests && told.events.missed === 0, JSON.stringify(told.events));
    }
    const page = readFileSync(report, 'utf8');
    assert.match(page, /<polyline/);
    for (const title of ['Latency', 'Rate over time', 'Percentiles over time']) assert.match(page, new RegExp(`<h2>${title}</h2>`));
    assert.equal(/<h2>Events<\/h2>.*received.*late, p99/s.test(page), scenario === 'events', 'what became of events, where there were subscribers');
    assert.doesNotMatch(page, /(src|href|url\()\s*=?\s*["']?https?:|<script|@import/, 'a page that needs nothing but itself');
    assert.match(readFileSync(`${acknowledged}.0`, 'utf8'), /^issue [0-9a-f-]{36} /m);
  });
}

test('a token that is refused ends the run with the reason', async () => {
  for (const words of [['http', '--url', service.url], ['api', '--endpoint', service.api]]) {
    const { status, stderr } = await bench([...words, '--tenant', 'acme'], { token: 'not-a-token' });
    assert.equal(status, 1);
    assert.match(stderr, /refused to issue a card: unauthenticated: .*`digitalcard token mint --tenant NAME --role tenant_admin`/);
  }
});

test('a token that may not issue cards, and a tenant that is not there, end the run with the reason', async () => {
  const weak = await service.token('acme', 'validator');
  const less = await bench(['http', '--url', service.url, '--tenant', 'acme'], { token: weak });
  assert.equal(less.status, 1);
  assert.match(less.stderr, /refused to issue a card: forbidden: .*--role tenant_admin/);
  const nobody = await bench(['http', '--url', service.url, '--tenant', 'nobody'], { token });
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /refused to issue a card: \w+: /);
});

test('subscribers that hear nothing fail the run, and so does a publisher that is not there', async () => {
  const words = ['http', '--url', service.url, '--tenant', 'acme', '--scenario', 'events', '--duration', '0.3', '--cards', '5', '--subscribers', '2'];
  const gone = await bench([...words, '--events', `tcp://127.0.0.1:${await freePort()}`], { token });
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /cannot connect to tcp:.*refused/);
  const other = await bench([...words, '--events', service.url.replace('http', 'tcp')], { token });
  assert.equal(other.status, 1);
  assert.match(other.stderr, /is it the --events endpoint of/);
});
