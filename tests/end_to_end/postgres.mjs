// A PostgreSQL server of its own for a test: a new cluster in a temporary directory, on a free port of loopback, as an
// unprivileged user (initdb refuses root), durable as in production.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort, until } from './service.mjs';

const run = promisify(execFile);
const BINARIES = '/usr/lib/postgresql/15/bin';
const prefix = process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

export class Postgres {
  // `settings`: server settings, as NAME=VALUE. `environment`: of the server. `directory`: an absolute path, kept at the
  // end; a cluster that is there is used again.
  static async start({ settings = [], environment = () => ({}), directory } = {}) {
    const server = new Postgres();
    server.settings = settings;
    server.isKept = directory !== undefined;
    server.directory = directory ?? mkdtempSync(path.join(tmpdir(), 'dc-postgres-'));
    server.port = await freePort();
    if (existsSync(`${server.directory}/data/PG_VERSION`)) {
      server.environment = environment(server);
      await server.spawn();
      return server;
    }
    mkdirSync(server.directory, { recursive: true });
    const password = path.join(server.directory, 'password');
    writeFileSync(password, 'super\n');
    if (prefix.length > 0) await run('chown', ['-R', 'postgres:postgres', server.directory]);
    chmodSync(server.directory, 0o711);
    const initdb = [...prefix, `${BINARIES}/initdb`, '-D', `${server.directory}/data`, '-U', 'postgres', '-E', 'UTF8',
      '--no-locale', '--auth=scram-sha-256', `--pwfile=${password}`, '--no-sync'];
    await run(initdb[0], initdb.slice(1), { cwd: server.directory });
    server.environment = environment(server);
    await server.spawn();
    await server.sql("CREATE ROLE digitalcard LOGIN CREATEDB CREATEROLE PASSWORD 'secret'");
    await server.sql('CREATE DATABASE digitalcard OWNER digitalcard');
    return server;
  }

  get url() { return `postgresql://digitalcard:secret@127.0.0.1:${this.port}/digitalcard`; }

  // A control database that nobody has used.
  async freshUrl() {
    this.databases = (this.databases ?? 0) + 1;
    const name = `fresh_${this.databases}`;
    await this.sql(`CREATE DATABASE ${name} OWNER digitalcard`);
    return this.url.replace(/digitalcard$/, name);
  }

  psql(statement, database = 'postgres') {
    return [`${BINARIES}/psql`, ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'postgres', '-d', database, '-qAt', '-c', statement],
      { env: { ...process.env, PGPASSWORD: 'super', PGOPTIONS: '-c default_transaction_read_only=off' } }];
  }

  // As superuser. Connections that others are just beginning may take even the places reserved for superusers, for a moment.
  async sql(statement, database) {
    let result;
    await until(() => run(...this.psql(statement, database)).then((done) => { result = done; return true; }, (error) => {
      if (!/too many clients/.test(error.stderr)) throw error;
      return false;
    }), 'a superuser finds a connection', 30_000);
    return result.stdout.trim();
  }

  // Connections of no superuser, until there is none left; gives those that sleep.
  async takeAllConnections(count) {
    const user = ['-U', 'digitalcard', '-d', 'digitalcard'];
    const [file, words, options] = this.psql('SELECT pg_sleep(120)');
    const command = words.map((word, index) => (word === '-U' || word === '-d' ? word : words[index - 1] === '-U' ? user[1] : words[index - 1] === '-d' ? user[3] : word));
    const env = { ...options.env, PGPASSWORD: 'secret' };
    const sleep = () => run(file, command, { env }).catch(() => null);
    const sleeping = Array.from({ length: count }, sleep);
    const probe = command.with(-1, 'SELECT 1');
    await until(() => run(file, probe, { env }).then(() => { sleeping.push(sleep()); return false; }, (error) => /too many|reserved/.test(error.stderr)),
      'no connection is left', 30_000);
    return sleeping;
  }

  endSleeping() {
    return this.sql("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()");
  }

  // A statement that takes its time, in a session of its own; resolves when it has ended, however.
  hold(statement, database) {
    return run(...this.psql(statement, database)).catch(() => null);
  }

  // The database of a tenant, which is also the name of its role.
  tenantDatabase(tenant) {
    return this.sql(`SELECT datname FROM pg_database WHERE datname LIKE 'dc\\_%\\_${tenant}'`);
  }

  endSessions(database) {
    return this.sql(`SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '${database}' AND pid <> pg_backend_pid()`);
  }

  // Every process of the server.
  signal(name) {
    const children = readFileSync(`/proc/${this.pid()}/task/${this.pid()}/children`, 'utf8').split(' ').filter((text) => text !== '').map(Number);
    for (const pid of [...children, this.pid()]) {
      try {
        process.kill(pid, name);
      } catch (error) {
        if (error.code !== 'ESRCH') throw error; // it ended by itself
      }
    }
  }

  pid() { return this.process.pid; } // setpriv becomes the server

  async spawn() {
    const command = [...prefix, `${BINARIES}/postgres`, '-D', `${this.directory}/data`, '-p', String(this.port),
      '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=on',
      '-c', 'recovery_init_sync_method=syncfs', '-c', 'max_connections=200',
      ...this.settings.flatMap((setting) => ['-c', setting])];
    await until(async () => {
      if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) {
        this.process = spawn(command[0], command.slice(1), { cwd: this.directory, stdio: 'ignore', env: { ...process.env, ...this.environment } });
      }
      return this.sql('SELECT 1').then((one) => one === '1', () => false);
    }, 'PostgreSQL is up', 60_000);
  }

  // As a crash: the server gets no chance to say goodbye (immediate shutdown, recovery on the next start).
  async crash(signal = 'SIGQUIT') {
    const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
    this.process.kill(signal);
    await ended;
  }

  // SIGKILL of every process of it, the postmaster held while its children go.
  async kill() {
    const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
    process.kill(this.pid(), 'SIGSTOP');
    this.signal('SIGKILL');
    await ended;
  }

  async destroy() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.crash(this.isKept ? 'SIGINT' : 'SIGQUIT');
    if (!this.isKept) rmSync(this.directory, { recursive: true, force: true });
  }
}
