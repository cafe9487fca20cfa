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

// As the tenant of `digitalcard-bench journal --fill` has them: ends on 1,825 days from 2027 on, one founder in a thousand cards,
// 5 % suspended, names of members member-0000000 and so on.
const range = (from, days) => `expires_after=${new Date(from).toISOString()}&expires_before=${new Date(from + days * 86400_000).toISOString()}`;
const [day, quarter, years, never] = [range(Date.UTC(2027, 1, 1), 1), range(Date.UTC(2027, 1, 1), 90), range(Date.UTC(2027, 1, 1), 1000), range(0, 1)];
const queries = ['cards', 'cards?limit=500', 'cards?status=active', 'cards?status=suspended', 'cards?status=expired', 'cards?status=revoked',
  'cards?tier=gold', 'cards?tier=founder', 'cards?tier=none', 'cards?tier=gold&status=active', 'cards?tier=gold&status=suspended',
  'cards?tier=founder&status=suspended', 'cards?tier=gold&status=revoked', 'cards?tier=gold&status=expired', 'cards?member_id=member-0004711',
  'cards?member_id=member-0004711&status=active', 'cards?q=member-00047', 'cards?q=member-0', 'cards?q=gold', 'cards?q=founder', 'cards?q=nobody',
  'cards?q=gold&status=suspended', 'cards?q=member-0&tier=founder', `cards?${day}`, `cards?${quarter}`, `cards?${years}`, `cards?${never}`,
  `cards?status=active&${day}`, `cards?status=suspended&${quarter}`, `cards?status=revoked&${years}`, `cards?tier=founder&${quarter}`,
  `cards?tier=founder&status=suspended&${years}`, `cards?q=member-0&${quarter}`, 'rollups?grain=day', 'rollups?grain=hour&limit=100'];
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
  console.log(`${query.replace(/(before|after)=[^&]*?(\d{4}-\d\d)[^&]*/g, '$1=$2').padEnd(66)} ${String(first.body.items.length).padStart(4)} rows  median ${at(0.5)}  p99 ${at(0.99)}  longest ${at(1)}`);
}
agent.destroy();
