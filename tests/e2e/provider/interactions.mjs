// What a person sees at the provider: one page that asks who they are, without a password, and
// grants what the client asks for.

const page = (uid) => `<!doctype html><html lang="en"><title>Sign in</title>
<form method="post" action="/interaction/${uid}">
<label>User <input name="user" autofocus></label>
<button name="answer" value="in">Sign in</button>
<button name="answer" value="cancel">Cancel</button>
</form></html>`;

async function read(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
}

async function consent(provider, params, accountId, resource) {
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  grant.addResourceScope(resource, params.scope);
  return { grantId: await grant.save() };
}

export async function interact(provider, resource, request, response) {
  const { uid, params } = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(uid));
    return;
  }
  const form = await read(request);
  const accountId = form.get('user');
  const result = form.get('answer') === 'cancel'
    ? { error: 'access_denied', error_description: 'declined' }
    : {
      login: { accountId },
      consent: await consent(provider, params, accountId, resource),
    };
  await provider.interactionFinished(request, response, result);
}
