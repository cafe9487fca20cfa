// Clients of the ROUTER API and of the events, made of other people's libraries.
import { decode, encode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';

// Many requests in flight on one DEALER socket, answers matched by id.
export class ApiClient {
  constructor(endpoint, tenant, token) {
    this.tenant = tenant;
    this.token = token;
    this.socket = new zmq.Dealer({ linger: 0, sendHighWaterMark: 100_000, receiveHighWaterMark: 100_000 });
    this.socket.connect(endpoint);
    this.waiting = new Map();
    this.unmatched = [];
    this.next = 1;
    this.sending = Promise.resolve();
    this.receive();
  }

  // What is there already is received in microtasks: while replies come as fast as they are read, no timer and no message
  // of another thread would be seen. So the loop steps back now and then.
  async receive() {
    let received = 0;
    try {
      for await (const [header, body] of this.socket) {
        received += 1;
        if (received % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
        const head = decode(header);
        const reply = { type: head.type, id: head.id, body: decode(body) };
        const waiter = this.waiting.get(head.id);
        if (waiter !== undefined) {
          this.waiting.delete(head.id);
          clearTimeout(waiter.timer);
          waiter.resolve(reply);
        } else if (this.unmatched.length > 0) {
          this.unmatched.shift()(reply);
        }
      }
    } catch (error) {
      if (!this.socket.closed) throw error;
    }
  }

  send(frames) {
    this.sending = this.sending.then(() => this.socket.send(frames));
    return this.sending;
  }

  ask(type, body, { key, timeout = 20_000, deadline_ms, if_version } = {}) {
    const id = String(this.next++);
    const header = { v: 1, id, type, tenant: this.tenant, token: this.token };
    if (key !== undefined) header.key = key;
    if (deadline_ms !== undefined) header.deadline_ms = deadline_ms;
    if (if_version !== undefined) header.if_version = if_version;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`no answer to ${type} in ${timeout} ms`));
      }, timeout);
      this.waiting.set(id, { resolve, timer });
      this.send([encode(header), encode(body)]).catch(reject);
    });
  }

  // Sends frames as they are; the next reply that belongs to no request, or has that id, is the answer.
  raw(frames) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer to raw frames')), 20_000);
      this.unmatched.push((reply) => { clearTimeout(timer); resolve(reply); });
      this.send(frames).catch(reject);
    });
  }

  close() {
    this.socket.close();
    for (const waiter of this.waiting.values()) clearTimeout(waiter.timer);
  }
}

// A subscriber of one tenant: keeps what it saw and how far each partition has come. `keep` false: only which event had
// which place, for runs of millions.
export class EventFollower {
  constructor(endpoint, tenant, { keep = true, topic = '' } = {}) {
    this.tenant = tenant;
    this.events = [];
    this.keep = keep;
    this.places = new Map(); // partition/sequence → event id
    this.doubled = 0;
    this.contradictions = []; // places with two events
    this.heads = new Map();
    this.socket = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: 1_000_000 });
    this.socket.connect(endpoint);
    this.socket.subscribe(`digitalcard.${tenant}.${topic}`);
    this.receive();
  }

  async receive() {
    let received = 0;
    try {
      for await (const [topic, header, body] of this.socket) {
        received += 1;
        if (received % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
        const name = topic.toString();
        if (name.endsWith('.Head')) {
          const head = decode(body);
          this.heads.set(head.partition, head.sequence);
        } else {
          const head = decode(header);
          if (this.keep) this.events.push({ topic: name, header: head, data: decode(body) });
          this.note(`${head.partition}/${head.sequence}`, head.event_id);
        }
      }
    } catch (error) {
      if (!this.socket.closed) throw error;
    }
  }

  note(place, event) {
    const before = this.places.get(place);
    if (before !== undefined) this.doubled += 1;
    if (before !== undefined && before !== event) this.contradictions.push(place);
    this.places.set(place, event);
  }

  // A head is sent on subscription: from then on nothing is missed but by loss.
  async ready() {
    for (const deadline = Date.now() + 10_000; this.heads.size === 0;) {
      if (Date.now() > deadline) throw new Error('no head within 10 s of the subscription');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  close() {
    this.socket.close();
  }
}
