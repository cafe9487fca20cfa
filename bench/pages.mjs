// Times pages of lists and rollups of a running service, one at a time: node bench/pages.mjs URL TENANT TOKEN [ROUNDS]
// Prints median, p99 and longest per query in ms, measured by the client, and the rows of the first page.
import http from 'node:http';

const [url, tenant, token, rounds = '300'] = process.argv.slice(2);
if (token === undefined) {
  console.error('usage: node bench/pages.mjs URL TENANT TOKEN [ROUNDS]');
  process.exit(2);
}
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const get = (target) => new Promise((resolve, reject) => {
  const begin = process.hrtime.bigint();
  http.get(`${url}/${tenant}/api/v1/${target}`, { agent, headers: { Authorization: `Bearer ${token}` } }, (reply) => {
    const parts = [];
    reply.on('data', (part) => parts.push(part));
    reply.on('end', () => {
      const ms = Number(process.hrtime.bigint() - begin) / 1e6;
      const body = JSON.parse(Buffer.concat(parts).toString());
      if (reply.statusCode !== 200) reject(new Error(`${target}: ${reply.statusCode} ${body.detail}`));
      else resolve({ ms, body });
    });
  }).on('error', reject);
});

const soon = new Date(Date.now() + 30 * 86400_000).toISOString();
const later = new Date(Date.now() + 300 * 86400_000).toISOString();
const queries = ['cards', 'cards?limit=500', 'cards?status=active', 'cards?tier=gold&status=active', 'cards?status=expired',
  'cards?member_id=m-4711', 'cards?q=m-47', 'cards?q=gold', `cards?status=active&expires_before=${soon}`,
  `cards?expires_after=${soon}&expires_before=${later}`, 'rollups?grain=day', 'rollups?grain=hour&limit=100'];
for (const query of queries) {
  const first = await get(query);
  const times = [];
  let page = first;
  for (let i = 0; i < Number(rounds); i++) {
    const cursor = page.body.next_cursor;
    const next = cursor === null || query.startsWith('rollups') ? query : `${query}${query.includes('?') ? '&' : '?'}cursor=${cursor}`;
    page = await get(next); // page after page, so that deep ones are in it
    times.push(page.ms);
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(2);
  console.log(`${query.replace(/=20[^&]*/g, '=…').padEnd(52)} ${String(first.body.items.length).padStart(4)} rows  median ${at(0.5)}  p99 ${at(0.99)}  longest ${at(1)}`);
}
agent.destroy();
