#!/usr/bin/env node
// A fake membership context (DESIGN 3.5), made of other people's libraries: members over HTTP and over ZeroMQ
// (member.get), events over PUB with a replay endpoint, and switches for everything that goes wrong with neighbours.
// As a program:  membership.mjs [--http PORT] [--events ENDPOINT] [--api ENDPOINT]
// As a module:   const context = await Membership.start({ … })
import http from 'node:http';
import { createRequire } from 'node:module';

// The packages that the end-to-end tests install.
const require = createRequire(new URL('../end_to_end/', import.meta.url));
const { decode, encode } = require('@msgpack/msgpack');
const zmq = require('zeromq');

const EVENTS = { cancel: 'MembershipCancelled', suspend: 'MembershipSuspended', reinstate: 'MembershipReinstated',
  renew: 'MembershipRenewed', update: 'MemberUpdated' };
const AFTER = { MembershipCancelled: 'cancelled', MembershipSuspended: 'suspended', MembershipReinstated: 'active' };

export class Membership {
  static async start({ httpPort = 0, events, api, host = '127.0.0.1' } = {}) {
    const context = new Membership();
    context.members = new Map(); // tenant/member → { member_id, status, … }
    context.logs = new Map(); // tenant → events in order of sequence
    context.mode = 'good'; // or slow, error, missing, redirect, garbage, huge, drip, never, half, wrong, empty
    context.slowMs = 3000;
    context.requests = { member: 0, events: 0 };
    context.sockets = new Set();
    context.peers = new Map(); // who asked over ZeroMQ
    context.host = host;
    context.httpPort = httpPort;
    await context.listen();
    if (events !== undefined) await context.publishAt(events);
    if (api !== undefined) await context.answerAt(api);
    return context;
  }

  get url() { return `http://${this.host}:${this.httpPort}`; }

  async listen() {
    this.server = http.createServer((request, response) => this.answer(request, response));
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => {});
    });
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.httpPort, this.host, resolve);
    });
    this.httpPort = this.server.address().port;
  }

  // Gone, as if its machine were: connections are cut, new ones refused.
  async die() {
    for (const socket of this.sockets) socket.destroy();
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
  }

  async returnToLife() { await this.listen(); }

  async publishAt(endpoint) {
    this.publisher = new zmq.Publisher({ linger: 0, sendHighWaterMark: 1_000_000 });
    await this.publisher.bind(endpoint);
    this.events = this.publisher.lastEndpoint;
    this.publishing = Promise.resolve();
  }

  async answerAt(endpoint) {
    this.router = new zmq.Router({ linger: 0 });
    await this.router.bind(endpoint);
    this.api = this.router.lastEndpoint;
    this.serveApi();
  }

  async stop() {
    await this.die().catch(() => {});
    this.publisher?.close();
    this.router?.close();
  }

  // --- Members and events ---

  key(tenant, id) { return `${tenant}/${id}`; }

  member(tenant, id, more = {}) {
    const member = { member_id: id, status: 'active', ...more };
    this.members.set(this.key(tenant, id), member);
    return member;
  }

  log(tenant) {
    if (!this.logs.has(tenant)) this.logs.set(tenant, []);
    return this.logs.get(tenant);
  }

  // Makes an event, changes the member, and hands the event over as `deliver` says: [] loses it, [event, event] doubles it.
  happen(tenant, what, id, more = {}, deliver = (event) => [event]) {
    const log = this.log(tenant);
    const name = EVENTS[what] ?? what;
    const event = { v: 1, event_id: `${tenant}-${log.length + 1}`, tenant, sequence: log.length + 1, name,
      occurred_at: new Date().toISOString(), member_id: id, ...more };
    log.push(event);
    const member = this.members.get(this.key(tenant, id));
    if (member !== undefined && AFTER[name] !== undefined) member.status = AFTER[name];
    if (member !== undefined && more.valid_until !== undefined) member.valid_until = more.valid_until;
    for (const each of deliver(event)) this.publish(each);
    return event;
  }

  publish(event) {
    if (this.publisher === undefined) return;
    const { name, member_id, reason, valid_until, ...header } = event;
    const body = { member_id };
    if (reason !== undefined) body.reason = reason;
    if (valid_until !== undefined) body.valid_until = valid_until;
    this.publishing = this.publishing.then(() =>
      this.publisher.send([`membership.${event.tenant}.${name}`, encode(header), encode(body)]));
  }

  page(tenant, after, limit) { return this.log(tenant).slice(after, after + limit); }

  // --- HTTP ---

  answer(request, response) {
    const url = new URL(request.url, 'http://any');
    const tenant = request.headers['x-tenant'] ?? '';
    const isMember = url.pathname.startsWith('/members/');
    this.requests[isMember ? 'member' : 'events'] += 1;
    if (this.misbehave(response)) return;
    const send = (status, document) => {
      const text = JSON.stringify(document);
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
      response.end(text);
    };
    const reply = () => {
      if (isMember) {
        const id = decodeURIComponent(url.pathname.slice('/members/'.length));
        const member = this.members.get(this.key(tenant, id));
        if (this.mode === 'wrong') send(200, { member_id: 'somebody-else', status: 'active' });
        else if (member === undefined) send(404, { code: 'member_not_found' });
        else send(200, member);
      } else if (url.pathname === '/events') {
        const after = Number(url.searchParams.get('after') ?? 0);
        const limit = Math.min(Number(url.searchParams.get('limit') ?? 100), 500);
        send(200, { items: this.page(tenant, after, limit) });
      } else send(404, { code: 'not_found' });
    };
    if (this.mode === 'slow') setTimeout(reply, this.slowMs).unref();
    else reply();
  }

  misbehave(response) {
    const raw = response.socket;
    switch (this.mode) {
      case 'error': response.writeHead(500).end('no'); return true;
      case 'missing': response.writeHead(404).end('no'); return true;
      case 'redirect': response.writeHead(301, { Location: 'http://127.0.0.1:1/members/x' }).end(); return true;
      case 'garbage': raw.end('\u0001\u0002 this is no HTTP\r\n\r\n'); return true;
      case 'empty': response.writeHead(200, { 'Content-Type': 'application/json' }).end('[]'); return true;
      case 'never': return true;
      case 'half': raw.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"member_id":'); return true;
      case 'huge': {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        const block = Buffer.alloc(1 << 20, 0x20);
        let left = 100;
        const more = () => {
          while (left > 0 && response.write(block)) left -= 1;
          if (left > 0) { left -= 1; response.once('drain', more); } else response.end();
        };
        response.on('error', () => {});
        more();
        return true;
      }
      case 'drip': {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 1000 });
        const timer = setInterval(() => response.write(' '), 1000);
        timer.unref();
        response.on('close', () => clearInterval(timer));
        return true;
      }
      default: return false;
    }
  }

  // --- ZeroMQ: member.get and events.read, framed as in DESIGN 3.4 ---

  async serveApi() {
    try {
      for await (const [peer, header, body] of this.router) {
        const head = decode(header);
        this.peers.set(peer.toString('hex'), peer);
        const question = decode(body);
        this.requests[head.type === 'member.get' ? 'member' : 'events'] += 1;
        if (this.mode === 'never') continue;
        const reply = (type, document) => this.router.send([peer, encode({ v: 1, id: head.id, type }), encode(document)]);
        const member = this.members.get(this.key(head.tenant, question.member_id));
        if (this.mode !== 'good') await reply('error', { code: 'internal_error', status: 500 });
        else if (head.type === 'events.read') await reply('events.read.ok', { items: this.page(head.tenant, question.after, question.limit) });
        else if (member === undefined) await reply('error', { code: 'member_not_found', status: 404 });
        else await reply('member.get.ok', member);
      }
    } catch (error) {
      if (!this.router.closed) throw error;
    }
  }
}

// --- As a program: what quickstart.sh --with-membership starts. Every member it is asked about is active until told otherwise.

async function main() {
  const flag = (name, otherwise) => {
    const at = process.argv.indexOf(name);
    return at >= 0 ? process.argv[at + 1] : otherwise;
  };
  const context = await Membership.start({ httpPort: Number(flag('--http', '8090')),
    events: flag('--events', 'tcp://127.0.0.1:8091'), api: flag('--api', 'tcp://127.0.0.1:8092') });
  const find = context.members.get.bind(context.members);
  context.members.get = (key) => find(key) ?? context.member(...key.split(/\/(.*)/).slice(0, 2));
  const answer = context.answer.bind(context);
  context.answer = (request, response) => {
    const [, tenant, id, what] = /^\/demo\/([^/]+)\/([^/]+)\/([a-z]+)$/.exec(request.url) ?? [];
    const mode = /^\/demo\/mode\/([a-z]+)$/.exec(request.url)?.[1];
    if (request.method === 'POST' && mode !== undefined) {
      context.mode = mode;
      response.end(`${mode}\n`);
    } else if (request.method === 'POST' && EVENTS[what] !== undefined) {
      context.members.get(`${tenant}/${id}`);
      response.end(`${JSON.stringify(context.happen(tenant, what, id))}\n`);
    } else answer(request, response);
  };
  console.log(`membership context: ${context.url} events ${context.events} api ${context.api}`);
  process.once('SIGTERM', () => context.stop().then(() => process.exit(0)));
  process.once('SIGINT', () => context.stop().then(() => process.exit(0)));
}

if (process.argv[1] !== undefined && import.meta.url.endsWith(process.argv[1].split('/').pop()) && process.argv[1].endsWith('membership.mjs')) await main();
