// A thread of its own that keeps thousands of ROUTER requests in flight, for pressure_test.mjs: whoever measures beside
// it must not share its event loop. Says how it goes every 50 ms, and ends when told.
import { parentPort, workerData } from 'node:worker_threads';
import { ApiClient } from './clients.mjs';

const { api, tenant, token, cards, inFlight } = workerData;
const state = { ok: 0, busy: 0, other: [] };
let running = true;
parentPort.once('message', () => { running = false; });
const clients = [0, 1, 2, 3].map(() => new ApiClient(api, tenant, token));
const timer = setInterval(() => parentPort.postMessage(state), 50);
await Promise.all(Array.from({ length: inFlight }, async (_, worker) => {
  for (let turn = worker; running; turn += 1) {
    const reply = await clients[worker % clients.length].ask('card.validate', { id: cards[turn % cards.length], gate: 'g' }, { timeout: 60_000 });
    if (reply.type === 'card.validate.ok') state.ok += 1;
    else if (reply.type === 'error' && reply.body.code === 'busy' && reply.body.status === 503) state.busy += 1;
    else state.other.push(JSON.stringify(reply));
    if (reply.type === 'error') await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 100));
  }
}));
clearInterval(timer);
for (const client of clients) client.close();
parentPort.postMessage({ ...state, finished: true });
