// A PostgreSQL server of its own for a test: a new cluster in a temporary directory, on a free port of loopback, as an
// unprivileged user (initdb refuses root), durable as in production.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort, until } from './service.mjs';

const run = promisify(execFile);
const BINARIES = '/usr/lib/postgresql/15/bin';
const prefix = process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

export class Postgres {
  static available() { return existsSync(`${BINARIES}/initdb`); }

  static async start() {
    const server = new Postgres();
    server.directory = mkdtempSync(path.join(tmpdir(), 'dc-postgres-'));
    server.port = await freePort();
    const password = path.join(server.directory, 'password');
    writeFileSync(password, 'super\n');
    if (prefix.length > 0) await run('chown', ['-R', 'postgres:postgres', server.directory]);
    chmodSync(server.directory, 0o711);
    const initdb = [...prefix, `${BINARIES}/initdb`, '-D', `${server.directory}/data`, '-U', 'postgres', '-E', 'UTF8',
      '--no-locale', '--auth=scram-sha-256', `--pwfile=${password}`, '--no-sync'];
    await run(initdb[0], initdb.slice(1), { cwd: server.directory });
    await server.spawn();
    await server.sql("CREATE ROLE digitalcard LOGIN CREATEDB CREATEROLE PASSWORD 'secret'");
    await server.sql('CREATE DATABASE digitalcard OWNER digitalcard');
    return server;
  }

  get url() { return `postgresql://digitalcard:secret@127.0.0.1:${this.port}/digitalcard`; }

  async sql(statement) {
    const { stdout } = await run(`${BINARIES}/psql`, ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'postgres', '-d', 'postgres',
      '-qAt', '-c', statement], { env: { ...process.env, PGPASSWORD: 'super' } });
    return stdout.trim();
  }

  async spawn() {
    const command = [...prefix, `${BINARIES}/postgres`, '-D', `${this.directory}/data`, '-p', String(this.port),
      '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=on',
      '-c', 'recovery_init_sync_method=syncfs', '-c', 'max_connections=200'];
    await until(async () => {
      if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) {
        this.process = spawn(command[0], command.slice(1), { cwd: this.directory, stdio: 'ignore' });
      }
      return this.sql('SELECT 1').then((one) => one === '1', () => false);
    }, 'PostgreSQL is up', 60_000);
  }

  // As a crash: the server gets no chance to say goodbye (immediate shutdown, recovery on the next start).
  async crash() {
    const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
    this.process.kill('SIGQUIT');
    await ended;
  }

  async destroy() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.crash();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
