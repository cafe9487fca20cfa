// What was acknowledged, against what the service says happened: the journal as `events replay` prints it. Every acknowledged
// validation is an event exactly once, every acknowledged change has its event, no sequence has a gap or a repeat.
import { spawn } from 'node:child_process';
import { createReadStream, readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { BINARY } from './servers.mjs';

const EVENT_OF = { issue: 'CardIssued', renew: 'CardRenewed', revoke: 'CardRevoked', activate: 'CardActivated', suspend: 'CardSuspended', reinstate: 'CardReinstated' };

async function eachLine(stream, use) {
  for await (const line of createInterface({ input: stream })) use(line);
}

// `where`: --data and --store of the service, which runs; `acknowledged`: the prefix of the generator's files; `partitions` of the tenant.
export async function checkAcknowledged(where, tenant, acknowledged, partitions = 1) {
  const events = new Set();
  const changes = new Map(); // "CardRenewed card" → how often
  let count = 0;
  const problems = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    let last = 0;
    const replay = spawn(BINARY, ['events', 'replay', '--tenant', tenant, '--partition', String(partition), ...where], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    replay.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    const ended = new Promise((resolve) => { replay.once('close', resolve); });
    await eachLine(replay.stdout, (line) => {
      const event = JSON.parse(line);
      const header = event.header ?? event;
      count += 1;
      if (header.sequence !== last + 1) problems.push(`partition ${partition}: sequence ${header.sequence} after ${last}`);
      last = header.sequence;
      if (events.has(header.event_id)) problems.push(`event ${header.event_id} twice`);
      events.add(header.event_id);
      const key = `${header.name} ${header.card}`;
      changes.set(key, (changes.get(key) ?? 0) + 1);
    });
    const status = await ended;
    if (status !== 0) problems.push(`events replay of partition ${partition} ended with ${status}: ${stderr}`);
  }

  const told = { validations: 0, changes: 0 };
  const wanted = new Map();
  const folder = path.dirname(acknowledged);
  for (const name of readdirSync(folder).filter((file) => file.startsWith(`${path.basename(acknowledged)}.`))) {
    await eachLine(createReadStream(path.join(folder, name)), (line) => {
      const [action, card, validation] = line.split(' ');
      if (action === 'scan' || action === 'validate') {
        told.validations += 1;
        if (!events.has(validation)) problems.push(`validation ${validation} of card ${card} was acknowledged and is not in the journal`);
      } else if (action in EVENT_OF) {
        told.changes += 1;
        const key = `${EVENT_OF[action]} ${card}`;
        wanted.set(key, (wanted.get(key) ?? 0) + 1);
      }
    });
  }
  for (const [key, times] of wanted) {
    if ((changes.get(key) ?? 0) < times) problems.push(`${key} was acknowledged ${times} times and is in the journal ${changes.get(key) ?? 0} times`);
  }
  return { events: count, ...told, problems };
}
