// The resource owner password grant (RFC 6749 4.3), which oidc-provider leaves to its users.

import { errors } from 'oidc-provider';

const { InvalidGrant, InvalidRequest, InvalidScope } = errors;

export const PASSWORDS = { alice: 'correct horse battery', bob: 'staple' };

export function passwordGrant(provider, resourceServerOf, resource) {
  return async (ctx) => {
    const { client, params } = ctx.oidc;
    if (!params.username || !params.password) {
      throw new InvalidRequest('username and password are required');
    }
    if (PASSWORDS[params.username] !== params.password) {
      throw new InvalidGrant('wrong username or password');
    }
    const allowed = new Set((client.scope ?? '').split(' '));
    const asked = (params.scope ?? client.scope ?? '').split(' ').filter(Boolean);
    const excess = asked.filter((scope) => !allowed.has(scope));
    if (excess.length) throw new InvalidScope('not granted to this client', excess.join(' '));

    const accountId = params.username;
    const grant = new provider.Grant({ accountId, clientId: client.clientId });
    grant.addResourceScope(resource, asked.join(' '));
    const grantId = await grant.save();

    const common = { accountId, client, grantId, gty: 'password', scope: asked.join(' ') };
    const token = new provider.AccessToken({ ...common });
    token.resourceServer = new provider.ResourceServer(resource, resourceServerOf(resource));
    const refresh = new provider.RefreshToken({ ...common, resource });

    ctx.body = {
      access_token: await token.save(),
      expires_in: token.expiration,
      refresh_token: await refresh.save(),
      scope: token.scope,
      token_type: token.tokenType,
    };
    ctx.type = 'json';
  };
}
