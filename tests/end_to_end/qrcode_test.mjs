// Two readers that other people wrote read the code that the server drew, and what they read passes the gate.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BINARY, Service, run } from './service.mjs';

let service;
let token;
let card;
let folder;

before(async () => {
  service = await Service.start();
  token = await service.tenant('acme');
  card = await service.issue('acme', token);
  folder = mkdtempSync(path.join(tmpdir(), 'dc-qr-'));
});
after(async () => {
  rmSync(folder, { recursive: true });
  await service.destroy();
});

async function png() {
  const reply = await service.request('GET', `/acme/api/v1/cards/${card.id}/qr.png`, { token });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers['content-type'], 'image/png');
  const file = path.join(folder, 'card.png');
  writeFileSync(file, reply.raw);
  return file;
}

async function passes(text) {
  assert.equal(text, card.qr.text);
  assert.equal((await service.scan('acme', token, text)).body.reason, 'valid');
}

test('zbarimg reads the PNG, and the text passes the gate', async () => {
  const { stdout } = await run('zbarimg', ['--quiet', '--raw', await png()]);
  await passes(stdout.trim());
});

test('zxing reads the PNG, and the text passes the gate', async () => {
  const { stdout } = await run('ZXingReader', ['-format', 'QRCode', '-ascii', await png()]).catch(async () => run('ZXingReader', [await png()]));
  const text = /Text:\s+"?(DC1:[^"\n]*)"?/.exec(stdout) ?? /(DC1:[0-9A-Z $%*+\-./:]+)/.exec(stdout);
  assert.ok(text, stdout);
  await passes(text[1]);
});

test('the SVG is one, with a quiet zone and a view box', async () => {
  const reply = await service.request('GET', `/acme/api/v1/cards/${card.id}/qr.svg`, { token });
  assert.equal(reply.status, 200);
  assert.match(reply.headers['content-type'], /^image\/svg\+xml/);
  assert.match(reply.raw.toString(), /^<\?xml|^<svg/);
  assert.match(reply.raw.toString(), /viewBox="0 0 41 41"/, 'version 4: 33 modules and 4 on each side');
});

test('the command line draws the code in the terminal', async () => {
  const { stdout } = await run(BINARY, ['qr', card.qr.text]);
  assert.match(stdout, /[▀▄█]/);
});
