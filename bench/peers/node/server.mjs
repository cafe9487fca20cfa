// The peer: a plain Node.js service that does the same durable validation as DigitalCard, as a good Node developer would
// write it: Fastify with schemas (which also make its JSON writer), ES256 tokens checked once and cached, a pool of
// connections with named prepared statements, one process per core. Every validation is one row, committed before its
// answer, and the card's row is locked meanwhile, so that two gates cannot both be the first.
//
//   DATABASE_URL=postgresql://… PORT=3000 [PEER_PROCESSES=2] [PEER_POOL=20] [PEER_STATEMENT=transaction|single] node server.mjs
//
// `transaction` is BEGIN, SELECT … FOR UPDATE, INSERT, COMMIT. `single` says the same in one statement, which needs a
// developer who knows that PostgreSQL can. Prints "peer is ready TOKEN".
import cluster from 'node:cluster';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Fastify from 'fastify';
import { createSigner, createVerifier } from 'fast-jwt';
import pg from 'pg';

const PROCESSES = Number(process.env.PEER_PROCESSES ?? 2);
const IS_SINGLE = process.env.PEER_STATEMENT === 'single';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS card (
    id uuid PRIMARY KEY, tenant text NOT NULL, member_id text NOT NULL, status text NOT NULL,
    valid_from timestamptz NOT NULL, expires_at timestamptz NOT NULL, issued_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1);
  CREATE TABLE IF NOT EXISTS validation (
    id uuid PRIMARY KEY, sequence bigserial, card uuid NOT NULL REFERENCES card, gate text NOT NULL, result text NOT NULL,
    reason text NOT NULL, subject text, recorded_at timestamptz NOT NULL);
  CREATE INDEX IF NOT EXISTS validation_card ON validation (card, recorded_at)`;

const LOCK = { name: 'lock', text: 'SELECT * FROM card WHERE id = $1 AND tenant = $2 FOR UPDATE' };
const INSERT = { name: 'insert', text: `INSERT INTO validation (id, card, gate, result, reason, subject, recorded_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING sequence` };
const SINGLE = { name: 'single', text: `
  WITH locked AS (SELECT * FROM card WHERE id = $2 AND tenant = $3 FOR UPDATE), judged AS (
    SELECT *, CASE WHEN status <> 'active' THEN status WHEN valid_from > $6 THEN 'not_yet_valid' WHEN expires_at <= $6 THEN 'expired'
      ELSE 'valid' END AS reason FROM locked), written AS (
    INSERT INTO validation (id, card, gate, result, reason, subject, recorded_at)
    SELECT $1, id, $4, CASE reason WHEN 'valid' THEN 'valid' ELSE 'refused' END, reason, $5, $6 FROM judged RETURNING sequence)
  SELECT judged.*, written.sequence FROM judged, written` };
const ISSUE = { name: 'issue', text: `INSERT INTO card (id, tenant, member_id, status, valid_from, expires_at, issued_at)
  VALUES ($1, $2, $3, $4, $5, $6, $5) RETURNING *` };

const text = { type: 'string' };
const nullable = { type: ['string', 'null'] };
const CARD = { type: 'object', properties: { id: text, tenant: text, member_id: text, holder_name: nullable, tier: nullable, status: text,
  valid_from: text, expires_at: text, issued_at: text, version: { type: 'integer' },
  rules: { type: 'array' }, qr: { type: ['object', 'null'], properties: { text, kid: text } } } };
const VERDICT = { type: 'object', properties: { result: text, reason: text, message: text, card: CARD, validation_id: text,
  sequence: { type: 'integer' }, fallback: { type: 'boolean' }, at: text, recorded_at: text } };

const cardDocument = (row, qr = null) => ({ id: row.id, tenant: row.tenant, member_id: row.member_id, holder_name: null, tier: null,
  status: row.status, valid_from: row.valid_from.toISOString(), expires_at: row.expires_at.toISOString(),
  issued_at: row.issued_at.toISOString(), version: row.version, rules: [], qr });

function judge(card, now) {
  if (card.status !== 'active') return card.status;
  if (card.valid_from > now) return 'not_yet_valid';
  return card.expires_at <= now ? 'expired' : 'valid';
}

async function validateInTransaction(pool, id, tenant, gate, subject, validation, now) {
  const client = await pool.connect();
  let failure;
  try {
    await client.query('BEGIN');
    const { rows: [card] } = await client.query({ ...LOCK, values: [id, tenant] });
    if (card === undefined) {
      await client.query('ROLLBACK');
      return null;
    }
    const reason = judge(card, now);
    const { rows: [{ sequence }] } = await client.query({ ...INSERT,
      values: [validation, id, gate, reason === 'valid' ? 'valid' : 'refused', reason, subject, now] });
    await client.query('COMMIT');
    return { card, reason, sequence };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    client.release(failure); // a connection on which something failed is not used again
  }
}

async function validateInOne(pool, id, tenant, gate, subject, validation, now) {
  const { rows: [row] } = await pool.query({ ...SINGLE, values: [validation, id, tenant, gate, subject, now] });
  return row === undefined ? null : { card: row, reason: row.reason, sequence: row.sequence };
}

async function serve(keys) {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.PEER_POOL ?? 20) });
  const verify = createVerifier({ key: keys.publicKey, algorithms: ['ES256'], cache: 10_000 });
  const app = Fastify({ logger: false });
  const validate = IS_SINGLE ? validateInOne : validateInTransaction;

  app.addHook('onRequest', async (request, reply) => {
    const header = request.headers.authorization ?? '';
    try {
      request.claims = verify(header.startsWith('Bearer ') ? header.slice(7) : '');
    } catch {
      return reply.code(401).send({ code: 'unauthenticated', detail: 'A valid token is needed' });
    }
    if (request.claims.tenant !== request.params.tenant) return reply.code(403).send({ code: 'wrong_tenant', detail: 'Another tenant' });
  });

  app.post('/:tenant/mapi/v1/cards/:id/validate', { schema: {
    params: { type: 'object', properties: { tenant: text, id: { type: 'string', format: 'uuid' } } },
    body: { type: 'object', required: ['gate'], properties: { gate: { type: 'string', minLength: 1, maxLength: 64 } } },
    response: { 200: VERDICT } } }, async (request, reply) => {
    const now = new Date();
    const validation = randomUUID();
    const { tenant, id } = request.params;
    const done = await validate(pool, id, tenant, request.body.gate, request.claims.sub, validation, now);
    if (done === null) return reply.code(404).send({ code: 'unknown_card', detail: 'There is no such card' });
    const at = now.toISOString();
    return { result: done.reason === 'valid' ? 'valid' : 'refused', reason: done.reason, message: `The card is ${done.reason}.`,
      card: cardDocument(done.card), validation_id: validation, sequence: Number(done.sequence), fallback: false, at, recorded_at: at };
  });

  app.post('/:tenant/api/v1/cards', { schema: {
    body: { type: 'object', required: ['member_id', 'expires_at'], properties: { member_id: { type: 'string', minLength: 1, maxLength: 128 },
      expires_at: { type: 'string', format: 'date-time' }, activate: { type: 'boolean' } } },
    response: { 201: CARD } } }, async (request, reply) => {
    const { rows: [card] } = await pool.query({ ...ISSUE, values: [randomUUID(), request.params.tenant, request.body.member_id,
      request.body.activate ? 'active' : 'issued', new Date(), request.body.expires_at] });
    return reply.code(201).send(cardDocument(card, { text: `PEER:${card.id}`, kid: '1' }));
  });

  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000), backlog: 1024 });
}

if (cluster.isPrimary) {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query(SCHEMA);
  await client.end();
  const token = createSigner({ key: pair.privateKey, algorithm: 'ES256', expiresIn: '1d' })({ sub: 'bench', tenant: 'bench', role: 'tenant_admin' });
  let listening = 0;
  cluster.on('listening', () => {
    listening += 1;
    if (listening === PROCESSES) console.log(`peer is ready ${token}`);
  });
  for (let index = 0; index < PROCESSES; index += 1) cluster.fork({ PEER_PUBLIC_KEY: pair.publicKey });
  process.on('SIGTERM', () => process.exit(0));
} else {
  process.on('disconnect', () => process.exit(0));
  await serve({ publicKey: process.env.PEER_PUBLIC_KEY });
}
