// Token exchange (RFC 8693), which oidc-provider leaves to its users: the caller's access token of
// this provider for one with another audience, in the caller's name.

import { errors } from 'oidc-provider';
import { createLocalJWKSet, jwtVerify } from 'jose';

const { AccessDenied, InvalidRequest, InvalidTarget } = errors;

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export const PARAMETERS = [
  'subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'scope',
];

export function exchangeGrant(provider, { issuer, keys, audience, targets, resourceServerOf }) {
  const known = createLocalJWKSet({
    keys: keys.map(({ kty, kid, alg, use, crv, x, y, n, e }) => (
      JSON.parse(JSON.stringify({ kty, kid, alg, use, crv, x, y, n, e }))
    )),
  });
  return async (ctx) => {
    const { client, params } = ctx.oidc;
    if (params.subject_token_type !== ACCESS_TOKEN) throw new InvalidRequest('subject_token_type');
    if (!targets.includes(params.audience)) throw new InvalidTarget('no such audience');
    let claims;
    try {
      ({ payload: claims } = await jwtVerify(params.subject_token, known, { issuer, audience }));
    } catch (cause) {
      throw new InvalidRequest('subject_token is not accepted');
    }
    if (claims.sub === 'mallory') throw new AccessDenied('mallory gets nothing');

    const token = new provider.AccessToken({
      accountId: claims.sub, client, gty: 'token_exchange', scope: params.scope ?? claims.scope,
    });
    const server = resourceServerOf(params.audience);
    token.resourceServer = new provider.ResourceServer(params.audience, server);
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: ACCESS_TOKEN,
      expires_in: token.expiration,
      scope: token.scope,
      token_type: token.tokenType,
    };
    ctx.type = 'json';
  };
}
