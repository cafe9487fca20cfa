// Back-pressure as clients see it: a tenant that floods is told to come back, and the gate of another tenant does not
// notice. One shard, so that both tenants share it.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { roles, Service, until } from './service.mjs';

const IN_FLIGHT = 6000; // more than the credits and the queue of one tenant (LIMIT_TENANT_CREDITS, LIMIT_TENANT_WAITING)
const SCANS = 300;

const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor(values.length * share)];

async function scanAll(service, token, cards, agent) {
  const times = [];
  for (let scan = 0; scan < SCANS; scan += 1) {
    const begun = performance.now();
    const reply = await service.request('POST', '/quiet/mapi/v1/scans', { token, agent, body: { qr: cards[scan % cards.length].qr.text, gate: 'north' } });
    times.push(performance.now() - begun);
    assert.equal(reply.status, 200, `scan ${scan}: ${reply.raw}`);
    assert.equal(reply.body.reason, 'valid');
  }
  return times;
}

test(`one tenant with ${IN_FLIGHT} requests in flight: busy for it, no scan of another tenant fails`, { timeout: 120_000 }, async (t) => {
  const service = await Service.start({ arguments: ['--shards', '1', '--watchdog-ms', '120000'] });
  try {
    const quiet = await service.tenant('quiet');
    const loud = await service.tenant('loud');
    const quietCards = [];
    const loudCards = [];
    for (let index = 0; index < 20; index += 1) quietCards.push(await service.issue('quiet', quiet, { member_id: `q-${index}` }));
    for (let index = 0; index < 50; index += 1) loudCards.push(await service.issue('loud', loud, { member_id: `l-${index}` }));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const alone = await scanAll(service, quiet, quietCards, agent);

    let flood = { ok: 0, busy: 0, other: [] };
    const worker = new Worker(new URL('./flood.mjs', import.meta.url),
      { workerData: { api: service.api, tenant: 'loud', token: loud, cards: loudCards.map((card) => card.id), inFlight: IN_FLIGHT } });
    worker.on('message', (state) => { flood = state; });
    const flooding = new Promise((resolve, reject) => { worker.once('exit', resolve); worker.once('error', reject); });
    // A shard may be faster than the flood. So it stands still until the tenant has more on its way than its credits and its queue hold.
    const shard = roles(await service.tree())['shard-0'].pid;
    process.kill(shard, 'SIGSTOP');
    await until(() => flood.busy > 100, 'the flood is there', 60_000).finally(() => process.kill(shard, 'SIGCONT'));
    await until(() => flood.ok > 100, 'the flood is answered', 60_000);
    const during = await scanAll(service, quiet, quietCards, agent);
    const full = await service.request('POST', `/loud/mapi/v1/cards/${loudCards[0].id}/validate`, { token: loud, body: { gate: 'g' } });
    if (full.status === 503) assert.ok(Number(full.headers['retry-after']) >= 1);
    else assert.equal(full.status, 200);
    worker.postMessage('end');
    await flooding;
    assert.deepEqual(flood.other.slice(0, 5), []);
    assert.ok(flood.busy > 0);
    const page = (await service.request('GET', '/metrics')).raw.toString();
    const number = (name) => Number(page.split('\n').find((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))?.split(' ').at(-1));
    assert.equal(number('digitalcard_requests_waiting'), 0);
    assert.ok(number('digitalcard_requests_busy_total') >= flood.busy);
    t.diagnostic(JSON.stringify({ flood: { ok: flood.ok, busy: flood.busy },
      scan_ms_alone: { p50: quantile(alone, 0.5), p99: quantile(alone, 0.99) }, scan_ms_beside_the_flood: { p50: quantile(during, 0.5), p99: quantile(during, 0.99) } }));
    agent.destroy();
  } catch (error) {
    t.diagnostic(service.log.slice(-3000));
    throw error;
  } finally {
    await service.destroy();
  }
});
