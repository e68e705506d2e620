// `oauth2-mock-server`, which signs whatever it is told to: node mock.mjs
//
// It stands for a provider that has gone wrong, or that somebody else runs. One line of JSON on
// stdin asks for a token, {"header": {...}, "payload": {...}, "key": "a kid"}: what is given
// replaces what the server would have said, null takes it out. One line on stdout is the token.
// The first line on stdout says where it listens; the process ends with its stdin.

import { createInterface } from 'node:readline';

import { OAuth2Server } from 'oauth2-mock-server';

const server = new OAuth2Server();
const { kid } = await server.issuer.keys.generate('RS256');
const other = await server.issuer.keys.generate('ES256');
await server.start(0, '127.0.0.1');

function changed(target, changes = {}) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete target[name];
    else target[name] = value;
  }
}

async function mint({ header, payload, key }) {
  return server.issuer.buildToken({
    kid: key,
    scopesOrTransform: (head, claims) => {
      changed(head, header);
      changed(claims, payload);
    },
  });
}

console.log(JSON.stringify({ issuer: server.issuer.url, rsa: kid, ec: other.kid }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(await mint(JSON.parse(line)));
}
await server.stop();
