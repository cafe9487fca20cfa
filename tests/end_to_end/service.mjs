// Starts the real service in a directory of its own on free ports, and speaks to it. Used by all
// end-to-end tests; knows nothing of the insides but the command line and the contract (DESIGN 3).
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, existsSync, readFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import http from 'node:http';

const run = promisify(execFile);
export const BINARY = process.env.DIGITALCARD_BINARY ?? path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../build/digitalcard');

// Whether nobody listens there; `holds`: this process does from now on, until it ends.
function takes(port, holds) {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => {
      server.unref();
      if (holds) resolve(true);
      else server.close(() => resolve(true));
    });
  });
}

// Ports come in blocks, and whoever holds the first port of a block may use the others: two tests that run at once never draw the same one. All are
// below the range from which the kernel takes ports of outgoing connections (32768 and up): a service that is started again finds its ports free.
const BLOCK = 25;
let ports = [];

export async function freePort() {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    if (ports.length === 0) {
      const first = 10_000 + BLOCK * randomInt(22_000 / BLOCK);
      if (!await takes(first, true)) continue;
      ports = Array.from({ length: BLOCK - 1 }, (_, index) => first + 1 + index);
    }
    const port = ports.shift();
    if (port !== undefined && await takes(port, false)) return port;
  }
  throw new Error('no free port');
}

// Waits for a condition with a deadline: no test sleeps for a fixed time. The deadline only ends a test that would hang; how long something may
// take is a promise that the benchmarks hold, as tests run on slow and crowded machines too.
export async function until(condition, what, milliseconds = 30_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export class Service {
  static async start(options) {
    const service = await Service.make(options);
    await service.spawn();
    return service;
  }

  // Not started yet.
  static async make({ data, arguments: extra = [], wrapper = [], binary = BINARY } = {}) {
    const service = new Service();
    service.binary = binary;
    service.ownsData = data === undefined;
    service.data = data ?? mkdtempSync(path.join(tmpdir(), 'dc-'));
    service.ports = { http: await freePort(), api: await freePort(), events: await freePort() };
    service.extra = extra;
    service.wrapper = wrapper;
    return service;
  }

  get url() { return `http://127.0.0.1:${this.ports.http}`; }
  get api() { return `tcp://127.0.0.1:${this.ports.api}`; }
  get events() { return `tcp://127.0.0.1:${this.ports.events}`; }

  async spawn() {
    const command = [...this.wrapper, this.binary, 'serve', '--data', this.data, '--http', `127.0.0.1:${this.ports.http}`,
      '--api', this.api, '--events', this.events, ...this.extra];
    this.log = '';
    this.process = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => { this.log = (this.log + text).slice(-2_000_000); });
    }
    this.exited = new Promise((resolve) => {
      this.process.once('exit', (code, signal) => resolve({ code, signal }));
      this.process.once('error', (error) => resolve({ code: null, signal: null, error: error.message }));
    });
    let ended = null;
    this.exited.then((how) => { ended = how; });
    await until(async () => {
      if (ended !== null) throw new Error(`the service ended: ${JSON.stringify(ended)}\n${this.log.slice(-3000)}`);
      return (await this.request('GET', '/health/ready').catch(() => null))?.status === 200;
    }, 'the service is ready', 60_000);
  }

  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    return this.exited;
  }

  async destroy() {
    await this.stop();
    if (this.ownsData) rmSync(this.data, { recursive: true, force: true });
  }

  async command(...words) {
    const { stdout } = await run(BINARY, [...words, '--data', this.data]);
    return stdout.trim();
  }

  // { status, stdout, stderr } also when it fails.
  async tryCommand(...words) {
    try {
      const { stdout, stderr } = await run(BINARY, words);
      return { status: 0, stdout, stderr };
    } catch (error) {
      return { status: error.code, stdout: error.stdout, stderr: error.stderr };
    }
  }

  token(tenant, role = 'tenant_admin', ...more) {
    return this.command('token', 'mint', '--tenant', tenant, '--role', role, ...more);
  }

  // A tenant and a token for it, once the running service knows both.
  async tenant(name, ...more) {
    await this.command('tenant', 'create', name, ...more);
    const token = await this.token(name, 'tenant_admin', '--ttl', '3600');
    await until(async () => (await this.request('GET', `/${name}/api/v1/cards?limit=1`, { token })).status === 200,
      `the service knows tenant ${name}`, 5_000);
    return token;
  }

  // One HTTP exchange over the agent's kept connection. `body` may be an object (sent as JSON) or a string or Buffer.
  request(method, target, { token, body, headers = {}, agent } = {}) {
    return new Promise((resolve, reject) => {
      const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
      const all = { ...headers };
      if (token !== undefined) all.Authorization = `Bearer ${token}`;
      if (bytes !== undefined) {
        all['Content-Type'] ??= 'application/json';
        all['Content-Length'] = bytes.length;
      }
      const request = http.request({ host: '127.0.0.1', port: this.ports.http, method, path: target, headers: all, agent }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const raw = Buffer.concat(parts);
          const type = response.headers['content-type'] ?? '';
          let document = null;
          if (type.includes('json') && raw.length > 0) document = JSON.parse(raw.toString('utf8'));
          resolve({ status: response.statusCode, headers: response.headers, raw, body: document });
        });
      });
      request.on('error', reject);
      request.setTimeout(20_000, () => request.destroy(new Error(`no answer in 20 s: ${method} ${target}`)));
      request.end(bytes);
    });
  }

  async issue(tenant, token, more = {}) {
    const reply = await this.request('POST', `/${tenant}/api/v1/cards`, { token,
      body: { member_id: 'm-1', expires_at: '2035-01-01T00:00:00Z', activate: true, ...more } });
    if (reply.status !== 201) throw new Error(`issue: ${reply.status} ${reply.raw}\n${this.log.split('\n').slice(-12).join('\n')}`);
    return reply.body;
  }

  act(tenant, token, card, action, body, headers) {
    return this.request('POST', `/${tenant}/api/v1/cards/${card}/${action}`, { token, body: body ?? {}, headers });
  }

  scan(tenant, token, qr, more = {}) {
    return this.request('POST', `/${tenant}/mapi/v1/scans`, { token, body: { qr, gate: 'north', ...more } });
  }

  async tree() {
    return JSON.parse(await this.command('tree', '--json'));
  }
}

// A role that is between two lives has the pid 0 in the tree, and kill(0) ends everything that runs beside this test.
const signalProcess = process.kill.bind(process);
process.kill = (pid, signal) => {
  if (!Number.isInteger(pid) || pid === 0 || pid === -1) throw new RangeError(`no process has the id ${pid}`);
  return signalProcess(pid, signal);
};

// Kills a role once it runs; answers its pid.
export async function killRole(service, name, signal = 'SIGKILL') {
  const role = await until(async () => {
    const found = await service.tree().then((tree) => roles(tree)[name], () => undefined);
    return found?.pid > 0 ? found : null;
  }, `${name} runs`, 30_000);
  process.kill(role.pid, signal);
  return role.pid;
}

// The sum of a metric over its lines that have all of these labels.
export async function metricOf(service, name, ...labels) {
  const lines = (await service.request('GET', '/metrics')).raw.toString().split('\n')
    .filter((line) => /^[{ ]/.test(line.slice(name.length)) && line.startsWith(name) && labels.every((label) => line.includes(label)));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export function roles(tree) {
  return Object.fromEntries(tree.roles.map((role) => [role.name, role]));
}

export { existsSync, readFileSync, run };
