// A consumer of events as somebody else would write one: keeps each event once in a file, in order, and tells the
// service how far it has come. Killed at any moment, it goes on from the cursor that was kept for it.
// Usage: node consumer.mjs EVENTS API TENANT TOKEN NAME FILE
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { decode } from '@msgpack/msgpack';
import * as zmq from 'zeromq';
import { ApiClient } from './clients.mjs';

const [events, endpoint, tenant, token, name, file] = process.argv.slice(2);
const api = new ApiClient(endpoint, tenant, token);
let last = 0; // what the file has
if (existsSync(file)) {
  const text = readFileSync(file, 'utf8');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).trim().split('\n').filter(Boolean);
  last = lines.length === 0 ? 0 : JSON.parse(lines.at(-1)).sequence;
}

function keep(event) {
  if (event.sequence !== last + 1) return;
  appendFileSync(file, `${JSON.stringify({ sequence: event.sequence, event_id: event.event_id, name: event.name })}\n`);
  last = event.sequence;
}

// Until the head: from the cursor that the service keeps, then from what is known here.
async function repair(body) {
  for (;;) {
    const reply = await api.ask('events.read', { partition: 0, limit: 200, ...body });
    if (reply.type !== 'events.read.ok') throw new Error(JSON.stringify(reply.body));
    if (reply.body.items.length > 0 && reply.body.items[0].sequence > last + 1) throw new Error('the cursor is ahead of what is done');
    for (const event of reply.body.items) keep(event);
    if (last >= reply.body.head) return;
    body = { after: last };
  }
}

async function acknowledge() {
  if (last === 0) return;
  const reply = await api.ask('events.ack', { consumer: name, sequence: last });
  if (reply.type !== 'events.ack.ok') throw new Error(JSON.stringify(reply.body));
}

const registered = await api.ask('consumer.register', { name });
if (registered.type !== 'consumer.register.ok') throw new Error(JSON.stringify(registered.body));
const socket = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: 1_000_000 });
socket.connect(events);
socket.subscribe(`digitalcard.${tenant}.`);
await repair({ consumer: name });
await acknowledge();
let unacknowledged = 0;
for await (const [topic, header, body] of socket) {
  const text = topic.toString();
  if (text.endsWith('.Head')) {
    if (decode(body).sequence > last) await repair({ after: last });
    await acknowledge();
    unacknowledged = 0;
    continue;
  }
  const event = decode(header);
  if (event.sequence === null) continue;
  if (event.sequence > last + 1) await repair({ after: last });
  keep(event);
  unacknowledged += 1;
  if (unacknowledged >= 10) {
    await acknowledge();
    unacknowledged = 0;
  }
}
