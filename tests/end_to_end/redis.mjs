// A redis-server of its own on a free port, without saving.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, until } from './service.mjs';

export class Redis {
  static async start(password) {
    const redis = new Redis();
    redis.port = await freePort();
    redis.password = password;
    redis.directory = mkdtempSync(path.join(tmpdir(), 'redis-'));
    await redis.run();
    return redis;
  }

  get url() { return `redis://:${this.password}@127.0.0.1:${this.port}`; }

  async run() {
    this.process = spawn('redis-server', ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
      '--dir', this.directory, '--requirepass', this.password], { stdio: 'ignore' });
    this.exited = new Promise((resolve) => this.process.once('exit', resolve));
    await until(() => this.ask('PING').then((answer) => answer.includes('PONG'), () => false), 'redis answers');
  }

  // One command on a connection of its own; what comes first after AUTH.
  ask(command) {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(`AUTH ${this.password}\r\n${command}\r\n`));
      let text = '';
      socket.setEncoding('utf8');
      socket.on('data', (part) => {
        text += part;
        if (text.split('\r\n').length > 2) { socket.destroy(); resolve(text.slice(text.indexOf('\r\n') + 2)); }
      });
      socket.on('error', reject);
    });
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.exited;
  }

  async destroy() {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
