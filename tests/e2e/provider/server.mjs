// An OpenID provider with switches: node server.mjs
//
// Two listeners on free loopback ports. The first is the certified `oidc-provider`: discovery,
// key set, client_credentials, password, refresh_token, authorization_code and token exchange,
// all with RFC 9068 access tokens for the audience urn:test:api, or for urn:test:upstream where
// that is asked for. The second steers it, always with GET and a JSON answer:
//
//   /_ctl/rotate            a new key signs; the earlier ones stay published
//   /_ctl/rotate?drop=1     a new key signs; the earlier ones are gone
//   /_ctl/fault?mode=M      M: none, down (connections refused), 500, slow (30 s), garbage, html
//            &path=/jwks    only for paths that begin so
//   /_ctl/hits              requests seen, by path; with ?reset=1 they start again from none
//   /_ctl/keys              the private keys, so that a test can mint any token with them
//   /_ctl/signer            the private key (PEM) of the client `signer`, which has no secret
//   /_ctl/code?client=C     a code for alice, as if she had signed in at C with redirect_uri
//            &challenge=X   http://127.0.0.1/cb and this S256 challenge
//   /_ctl/ttl?seconds=S     access tokens live S seconds from now on
//   /_ctl/forget            no refresh token is known any more
//   /_ctl/browser?base=URL  where the gateway is, for the client `browser`: people sign in with
//                           it at /interaction, refresh tokens rotate, logout is back-channel
//
// With the argument `opaque` its access tokens say nothing by themselves and are introspected.
// Tokens are bound to a key where the request has a DPoP proof, and for the client `bound` to
// the certificate that the header x-certificate holds (PEM in base64).
//
// One line of JSON on stdout says where both listen; the process ends with its stdin.

import { once } from 'node:events';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

import { forget, Shared } from './adapter.mjs';
import { EXCHANGE, PARAMETERS, exchangeGrant } from './exchange.mjs';
import { passwordGrant } from './grants.mjs';
import { interact } from './interactions.mjs';
import { fresh } from './keys.mjs';

const AUDIENCE = 'urn:test:api';
const UPSTREAM = 'urn:test:upstream';
const CALLBACK = 'http://127.0.0.1/cb';
const TTL = 600;

const FORMAT = process.argv.includes('opaque') ? 'opaque' : 'jwt';

const resourceServerOf = (resource) => ({
  scope: 'read write',
  audience: resource,
  accessTokenTTL: state.ttl,
  accessTokenFormat: FORMAT,
  jwt: { sign: { alg: 'RS256' } },
});

const client = (client_id, grant_types, scope) => ({
  client_id,
  client_secret: `${client_id}-secret-canary-4f1d9a`,
  grant_types,
  scope,
  redirect_uris: grant_types.includes('authorization_code') ? [CALLBACK] : [],
  response_types: grant_types.includes('authorization_code') ? ['code'] : [],
});

const CLIENTS = [
  client('service', ['client_credentials'], 'read write'),
  client('reader', ['client_credentials'], 'read'),
  {
    ...client('bound', ['client_credentials'], 'read write'),
    tls_client_certificate_bound_access_tokens: true,
  },
  client('gateway',
    ['client_credentials', 'password', 'refresh_token', 'authorization_code', EXCHANGE],
    'read write offline_access'),
];

const browser = (base) => ({
  ...client('browser', ['authorization_code', 'refresh_token'], 'openid read write'),
  redirect_uris: [`${base}/auth/acme/callback`],
  post_logout_redirect_uris: [`${base}/auth/signed-out`],
  backchannel_logout_uri: `${base}/auth/acme/backchannel-logout`,
  backchannel_logout_session_required: true,
});

const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { client_secret: none, ...signing } = client('signer',
  ['client_credentials', 'password', 'refresh_token'], 'read write offline_access');
CLIENTS.push({
  ...signing,
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [{ ...signer.publicKey.export({ format: 'jwk' }), kid: 'signer-1', use: 'sig' }] },
});

function getCertificate(ctx) {
  const told = ctx.get('x-certificate');
  return told ? new X509Certificate(Buffer.from(told, 'base64')) : undefined;
}

function build(issuer, keys) {
  const provider = new Provider(issuer, {
    adapter: Shared,
    clients: [...CLIENTS, ...(state.base ? [browser(state.base)] : [])],
    jwks: { keys },
    scopes: ['openid', 'offline_access', 'read', 'write'],
    cookies: { keys: ['only for tests'] },
    ttl: { ClientCredentials: TTL, AccessToken: () => state.ttl, RefreshToken: 3600, Grant: 3600 },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // Its own guard against requests into the network would keep it from our gateway.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      dPoP: { enabled: true },
      mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => resourceServerOf(resource),
      },
    },
  });
  provider.on('grant.error', (ctx, error) => console.error(error.error_detail ?? error.message));
  provider.on('backchannel.error', (ctx, error) => console.error(`logout: ${error.message}`));
  const grant = passwordGrant(provider, resourceServerOf, AUDIENCE);
  provider.registerGrantType('password', grant, ['username', 'password', 'scope', 'resource']);
  const targets = [UPSTREAM, 'urn:test:other'];
  const world = { issuer, keys, audience: AUDIENCE, targets, resourceServerOf };
  provider.registerGrantType(EXCHANGE, exchangeGrant(provider, world), PARAMETERS);
  return provider;
}

const state = {
  keys: fresh(), fault: { mode: 'none', path: '/' }, hits: {}, handler: null, ttl: TTL, base: '',
};

const FAULTS = {
  500: (request, response) => response.writeHead(500).end('{"error":"server_error"}'),
  garbage: (request, response) => response.writeHead(200, { 'content-type': 'application/json' })
    .end('{"keys": [{"kty": "RSA", "n": '),
  html: (request, response) => response.writeHead(200, { 'content-type': 'text/html' })
    .end('<html><body>Under maintenance</body></html>'),
  slow: (request, response) => {
    const timer = setTimeout(() => state.handler(request, response), 30_000);
    response.on('close', () => clearTimeout(timer));
  },
};

const main = createServer((request, response) => {
  const path = request.url.split('?')[0];
  state.hits[path] = (state.hits[path] ?? 0) + 1;
  const { mode, path: prefix } = state.fault;
  const fault = path.startsWith(prefix) ? FAULTS[mode] : undefined;
  (fault ?? state.handler)(request, response);
});

async function listen(server, port) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function setFault(mode, path) {
  if (mode === 'down' && main.listening) {
    const closed = once(main, 'close');
    main.close();
    main.closeAllConnections();
    await closed;
  } else if (mode !== 'down' && !main.listening) {
    await listen(main, state.port);
  }
  state.fault = { mode, path };
}

function rotate(drop) {
  const added = fresh();
  state.keys = drop ? added : [...added, ...state.keys];
  serve();
  return { signing: added[0].kid };
}

function serve() {
  const provider = build(state.issuer, state.keys);
  const callback = provider.callback();
  state.provider = provider;
  state.handler = (request, response) => (request.url.startsWith('/interaction/')
    ? interact(provider, AUDIENCE, request, response)
    : callback(request, response));
}

async function code(clientId, codeChallenge) {
  const { provider } = state;
  const registered = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: 'alice', clientId });
  grant.addResourceScope(AUDIENCE, 'read write');
  const made = new provider.AuthorizationCode({
    accountId: 'alice', client: registered, grantId: await grant.save(), scope: 'read',
    resource: AUDIENCE, redirectUri: CALLBACK, codeChallenge, codeChallengeMethod: 'S256',
    gty: 'authorization_code', authTime: Math.floor(Date.now() / 1000),
  });
  return { code: await made.save() };
}

const CONTROLS = {
  '/_ctl/rotate': (query) => rotate(query.has('drop')),
  '/_ctl/fault': async (query) => {
    await setFault(query.get('mode') ?? 'none', query.get('path') ?? '/');
    return state.fault;
  },
  '/_ctl/hits': (query) => {
    const { hits } = state;
    if (query.has('reset')) state.hits = {};
    return hits;
  },
  '/_ctl/keys': () => state.keys,
  '/_ctl/signer': () => ({ pem: signer.privateKey.export({ type: 'pkcs8', format: 'pem' }) }),
  '/_ctl/code': (query) => code(query.get('client'), query.get('challenge')),
  '/_ctl/ttl': (query) => { state.ttl = Number(query.get('seconds')); return state.ttl; },
  '/_ctl/forget': () => { forget(); return {}; },
  '/_ctl/browser': (query) => {
    state.base = query.get('base');
    serve();
    return state.base;
  },
};

const control = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  const answer = CONTROLS[url.pathname];
  const body = answer ? await answer(url.searchParams) : { error: 'no such control' };
  response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
});

state.port = await listen(main, 0);
state.issuer = `http://127.0.0.1:${state.port}`;
serve();
const steering = await listen(control, 0);
console.log(JSON.stringify({ issuer: state.issuer, control: `http://127.0.0.1:${steering}` }));

process.stdin.on('end', () => process.exit(0)).resume();
