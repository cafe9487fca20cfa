#!/usr/bin/env node
// A fake vendor (wallet, notification, geography) over HTTP: POST /MODE/ADAPTER with a JSON document. MODE says what goes wrong:
// good, refuse (422), error (500), redirect, garbage, half (an answer cut off), hang (never answers). Prints its port; ends with its standard input.
import http from 'node:http';

const ANSWERS = { wallet: { link: 'https://wallet.example/pass' }, notification: { message_id: 'n-1' },
  geography: { latitude_e6: 52520008, longitude_e6: 13404954, place: 'Berlin', country: 'DE' } };

const server = http.createServer((request, response) => {
  const [, mode, adapter] = request.url.split('/');
  const send = (status, document) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }).end(text);
  };
  request.resume();
  switch (mode) {
    case 'good': send(200, ANSWERS[adapter] ?? {}); break;
    case 'refuse': send(422, { reason: 'no such thing' }); break;
    case 'error': send(500, { reason: 'broken' }); break;
    case 'redirect': response.writeHead(301, { Location: 'http://127.0.0.1:1/' }).end(); break;
    case 'garbage': send(200, 'this is no JSON'); break;
    case 'half': response.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"link":'); break;
    default: break; // hang
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0));
