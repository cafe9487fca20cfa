// Starts what a measurement needs, each in a directory and on a port of its own, and ends all of it: PostgreSQL (as another user
// when root, which it refuses), Redis, nginx, the Node.js peer, the service. Must not measure.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const ROOT = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../..');
export const BINARY = process.env.DIGITALCARD_BINARY ?? path.join(ROOT, 'build/digitalcard');
export const BENCH = process.env.DIGITALCARD_BENCH ?? path.join(ROOT, 'build/digitalcard-bench');
const POSTGRES = '/usr/lib/postgresql/15/bin';

export const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

export async function until(condition, what, milliseconds = 20_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await pause(10);
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); });
  });
}

// The words of the command line, when each is an option of this program (true: with a value): a mistyped one shall not begin half an hour of work.
export function checkedWords(options) {
  const words = process.argv.slice(2);
  for (let index = 0; index < words.length; index += 1) {
    const hasValue = options[words[index]];
    if (hasValue === undefined || (hasValue && words[index + 1] === undefined)) {
      console.error(`'${words[index]}' ${hasValue === undefined ? 'is no option' : 'needs a value'}; there are ${Object.keys(options).join(' ')}`);
      process.exit(2);
    }
    index += hasValue ? 1 : 0;
  }
  return words;
}

// Everything started here, ended in reverse, whatever happens.
export class Servers {
  constructor() {
    this.folder = mkdtempSync(path.join(process.env.DIGITALCARD_BENCH_DIR ?? tmpdir(), 'dcb-'));
    chmodSync(this.folder, 0o711);
    this.started = [];
    const leave = async () => { await this.stop(); process.exit(130); };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, leave);
    for (const stream of [process.stdout, process.stderr]) stream.once('error', leave); // `… | head` closes them: nothing may stay behind
  }

  directory(name) {
    const folder = path.join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  spawn(name, command, words, options = {}, server = {}) {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    Object.assign(server, { name, child, output: '', isEnded: false });
    server.ended = new Promise((resolve) => {
      child.once('error', (error) => { server.output += error.message; server.isEnded = true; resolve({ error: error.message }); });
      child.once('exit', (code, signal) => { server.isEnded = server.child === child || server.isEnded; resolve({ code, signal }); });
    });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { server.output = (server.output + text).slice(-500_000); });
    this.started = [...this.started.filter((other) => other !== server), server];
    return server;
  }

  async ready(server, condition) {
    await until(async () => {
      if (server.isEnded) throw new Error(`${server.name} ended: ${server.output.slice(-2000)}`);
      return condition();
    }, `${server.name} is ready: ${server.output.slice(-500)}`, 60_000);
    return server;
  }

  async end(server, signal = 'SIGTERM') {
    if (!server.isEnded) server.child.kill(signal);
    const isDone = await Promise.race([server.ended.then(() => true), pause(15_000).then(() => false)]);
    if (!isDone) { server.child.kill('SIGKILL'); await server.ended; }
    this.started = this.started.filter((other) => other !== server);
  }

  async stop() {
    for (const server of [...this.started].reverse()) await this.end(server, server.stopSignal);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async postgres() {
    const isRoot = process.getuid() === 0;
    const ids = isRoot ? { uid: Number(execFileSync('id', ['-u', 'postgres'])), gid: Number(execFileSync('id', ['-g', 'postgres'])) } : {};
    const folder = this.directory('postgres');
    if (isRoot) chownSync(folder, ids.uid, ids.gid);
    const data = path.join(folder, 'data');
    const secret = path.join(folder, 'password');
    writeFileSync(secret, 'bench', { mode: 0o600 });
    if (isRoot) chownSync(secret, ids.uid, ids.gid);
    await run(`${POSTGRES}/initdb`, ['-D', data, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${secret}`, '-E', 'UTF8', '--locale=C'], { ...ids, cwd: folder });
    const port = await freePort();
    const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', shared_buffers: '256MB', max_connections: 200,
      fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on', max_wal_size: '4GB' };
    const server = {};
    const begin = () => this.spawn('PostgreSQL', `${POSTGRES}/postgres`,
      ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])], { ...ids, cwd: folder }, server);
    begin();
    server.stopSignal = 'SIGINT';
    server.environment = { ...process.env, PGPASSWORD: 'bench', PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'postgres', PGDATABASE: 'postgres' };
    server.url = (database) => `postgresql://postgres:bench@127.0.0.1:${port}/${database}`;
    server.sql = (text, database = 'postgres') => run('psql', ['-XAtqc', text], { env: { ...server.environment, PGDATABASE: database } }).then(({ stdout }) => stdout.trim());
    await this.ready(server, () => server.sql('SELECT 1').then(() => true, () => false));
    server.version = await server.sql('SHOW server_version');
    // After a kill: the old one's last process must be gone before its directory can be used again.
    server.restart = async () => {
      await until(async () => {
        begin();
        await until(() => server.isEnded || server.sql('SELECT 1').then(() => true, () => false), 'PostgreSQL answers or gives up', 30_000);
        return !server.isEnded;
      }, 'PostgreSQL is back', 60_000);
    };
    return server;
  }

  async redis() {
    const port = await freePort();
    const server = {};
    const begin = () => this.spawn('Redis', 'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.directory('redis')], {}, server);
    begin();
    server.restart = async () => { begin(); };
    await this.ready(server, () => run('redis-cli', ['-p', String(port), 'ping']).then(({ stdout }) => stdout.startsWith('PONG'), () => false));
    server.url = `redis://127.0.0.1:${port}`;
    return server;
  }

  // Static replies of the very documents that the service sends, so that the same generator can ask and check.
  async nginx() {
    const port = await freePort();
    const folder = this.directory('nginx');
    const id = '01a1facc-e956-76d6-8024-6063c8d874fb';
    const card = `"id":"${id}","tenant":"bench","member_id":"m-1","holder_name":null,"tier":null,"status":"active","valid_from":"2026-11-20T21:11:35.510Z","expires_at":"2035-01-01T00:00:00.000Z","issued_at":"2026-11-20T21:11:35.510Z","version":2,"rules":[]`;
    const verdict = `{"result":"valid","reason":"valid","message":"The card is valid.","card":{${card},"qr":null},"validation_id":"01a1facc-e968-7c1e-800a-822e1968be1a","sequence":3,"fallback":false,"at":"2026-11-20T21:11:35.528Z","recorded_at":"2026-11-20T21:11:35.528Z"}`;
    const file = path.join(folder, 'nginx.conf');
    writeFileSync(file, `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes auto;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; default_type application/json; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen 127.0.0.1:${port} backlog=1024;
    location = /bench/api/v1/cards { return 201 '{${card},"qr":{"text":"NGINX","kid":"1"}}'; }
    location / { return 200 '${verdict}'; } } }\n`);
    const server = this.spawn('nginx', 'nginx', ['-c', file, '-p', folder]);
    server.stopSignal = 'SIGTERM';
    server.url = `http://127.0.0.1:${port}`;
    server.token = 'static';
    await this.ready(server, () => fetch(server.url).then(() => true, () => false));
    return server;
  }

  async peer(postgres, statement) {
    const folder = path.join(ROOT, 'bench/peers/node');
    if (!existsSync(path.join(folder, 'node_modules'))) await run('npm', ['ci', '--silent', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: folder });
    const database = `peer_${statement}`;
    await postgres.sql(`CREATE DATABASE ${database}`);
    const port = await freePort();
    const server = this.spawn('Node.js peer', 'node', ['server.mjs'], { cwd: folder,
      env: { ...process.env, NODE_ENV: 'production', DATABASE_URL: postgres.url(database), PORT: String(port), PEER_STATEMENT: statement } });
    await this.ready(server, () => server.output.includes('peer is ready'));
    server.url = `http://127.0.0.1:${port}`;
    server.token = /peer is ready (\S+)/.exec(server.output)[1];
    return server;
  }

  // `store`: undefined for the embedded one, or a PostgreSQL URL of an empty database.
  async service(name, { store, redis, shards, partitions = 1, program = BINARY, more = [] } = {}) {
    const data = this.directory(name);
    const ports = { http: await freePort(), api: await freePort(), events: await freePort() };
    const where = ['--data', data, ...(store ? ['--store', store] : [])];
    const words = ['serve', ...where, '--http', `127.0.0.1:${ports.http}`, '--api', `tcp://127.0.0.1:${ports.api}`,
      '--events', `tcp://127.0.0.1:${ports.events}`, ...(shards ? ['--shards', String(shards)] : []), ...(redis ? ['--redis', redis] : []), ...more];
    const begin = performance.now();
    const server = {};
    // Once more on the same data and ports.
    server.again = () => {
      this.spawn(`the service on ${name}`, program, words, {}, server);
      return this.ready(server, () => /^digitalcard is ready/m.test(server.output));
    };
    await server.again();
    server.startMilliseconds = performance.now() - begin;
    server.data = data;
    server.url = `http://127.0.0.1:${ports.http}`;
    server.api = `tcp://127.0.0.1:${ports.api}`;
    server.events = `tcp://127.0.0.1:${ports.events}`;
    server.command = (...more_) => run(program, [...more_, ...where], { maxBuffer: 1 << 30 }).then(({ stdout }) => stdout.trim());
    server.tenant = async (tenant) => {
      await server.command('tenant', 'create', tenant, '--partitions', String(partitions));
      const token = await server.command('token', 'mint', '--tenant', tenant, '--role', 'tenant_admin', '--ttl', '86400');
      await until(() => fetch(`${server.url}/${tenant}/api/v1/cards?limit=1`, { headers: { Authorization: `Bearer ${token}` } }).then((reply) => reply.status === 200, () => false),
        `the service knows ${tenant}`);
      return token;
    };
    server.tree = async () => JSON.parse(await server.command('tree', '--json'));
    server.token = await server.tenant('bench');
    return server;
  }

  pgbench(postgres, seconds, clients = 32) {
    const script = path.join(this.folder, 'insert.sql');
    writeFileSync(script, "INSERT INTO row_of_bench (card, gate, result) VALUES (gen_random_uuid(), 'north', 'valid');\n");
    return run('pgbench', ['-n', '-M', 'prepared', '-c', String(clients), '-j', '1', '-T', String(Math.ceil(seconds)), '-f', script, 'postgres'], { env: postgres.environment })
      .then(({ stdout }) => Number(/^tps = ([\d.]+)/m.exec(stdout)[1]));
  }
}

// One run of the generator; its JSON. A failed one throws with what it said.
export async function bench(server, words, { allowsErrors = false } = {}) {
  const target = words[0] === 'api' ? ['--endpoint', server.api] : ['--url', server.url];
  const all = [words[0], ...target, '--tenant', 'bench', ...words.slice(1), '--json'];
  try {
    const { stdout } = await run(BENCH, all, { env: { ...process.env, DIGITALCARD_TOKEN: server.token }, maxBuffer: 1 << 28 });
    return JSON.parse(stdout);
  } catch (error) {
    if (allowsErrors && error.stdout) return JSON.parse(error.stdout);
    throw new Error(`digitalcard-bench ${all.filter((word) => word !== server.token).join(' ')}: ${error.stderr || error.message} ${String(error.stdout ?? '').slice(0, 400)}`);
  }
}

// The processes of a tree, by parent.
export function tree(pid) {
  const found = [pid];
  for (let index = 0; index < found.length; index += 1) {
    try {
      for (const thread of readdirSync(`/proc/${found[index]}/task`)) {
        found.push(...readFileSync(`/proc/${found[index]}/task/${thread}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number));
      }
    } catch { /* it ended meanwhile */ }
  }
  return found;
}

// Proportional memory in bytes, open descriptors and threads of a whole tree, and of each process of it by its role: `front-0`, `relay`;
// a process that is none is told by its program's name.
export function footprint(pid) {
  const whole = { pss: 0, anonymous: 0, descriptors: 0, threads: 0, roles: {} };
  for (const each of tree(pid)) {
    try {
      const memory = readFileSync(`/proc/${each}/smaps_rollup`, 'utf8');
      const words = readFileSync(`/proc/${each}/cmdline`, 'utf8').split('\0');
      const role = words[1] === 'role' ? words[words.indexOf('--name') + 1] : path.basename(words[0].split(' ')[0]).replace(/:$/, '');
      const one = { pss: Number(/^Pss:\s+(\d+)/m.exec(memory)[1]) * 1024, anonymous: Number(/^Pss_Anon:\s+(\d+)/m.exec(memory)[1]) * 1024,
        descriptors: readdirSync(`/proc/${each}/fd`).length, threads: readdirSync(`/proc/${each}/task`).length };
      const known = whole.roles[role] ??= { pss: 0, anonymous: 0, descriptors: 0, threads: 0 };
      for (const [name, value] of Object.entries(one)) { known[name] += value; whole[name] += value; }
    } catch { /* it ended meanwhile */ }
  }
  return whole;
}

// Processor seconds used so far by each process of these trees, by name: unlike a rate, it hardly depends on who else is busy.
export function processorSeconds(pids) {
  const used = {};
  for (const pid of pids.flatMap((root) => tree(root))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      used[name] ??= { user: 0, system: 0 };
      used[name].user += Number(fields[11]) / 100;
      used[name].system += Number(fields[12]) / 100;
    } catch { /* it ended meanwhile */ }
  }
  return used;
}

// How often each thread of these trees gave the processor up because it had to wait.
export function contextSwitches(pids) {
  const counts = new Map();
  for (const pid of pids.flatMap((root) => tree(root))) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        counts.set(thread, Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))[1]));
      }
    } catch { /* it ended meanwhile */ }
  }
  return counts;
}

// One run, and what it took of the processor, in microseconds per request and by process.
export async function benchWithBudget(server, words, more) {
  const pids = [server.child.pid, ...(server.beside ?? []).map((other) => other.child.pid)];
  const before = processorSeconds(pids);
  const told = await bench(server, words, more);
  const after = processorSeconds(pids);
  const cards = Number(words[words.indexOf('--cards') + 1]);
  const requests = told.intervals.reduce((sum, interval) => sum + interval.requests, cards);
  told.budget = {};
  for (const [name, { user, system }] of Object.entries(after)) {
    const was = before[name] ?? { user: 0, system: 0 };
    told.budget[name] = { user: Math.max(0, ((user - was.user) * 1e6) / requests), system: Math.max(0, ((system - was.system) * 1e6) / requests) };
  }
  told.processor_us = Object.values(told.budget).reduce((sum, { user, system }) => sum + user + system, 0);
  return told;
}

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
