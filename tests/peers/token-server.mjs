// A strict OAuth 2.0 token server (oidc-provider) with SMART discovery in front, on loopback only.
// Argument: {"jwks_uri": "...", "algorithms": ["RS384"], "scope": "..."}; prints {"port": n} once it answers.
import http from 'node:http';
import Provider from 'oidc-provider';

const asked = JSON.parse(process.argv[2]);
const server = http.createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const scopes = asked.scope.split(' ');
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'lakeside',
        token_endpoint_auth_method: 'private_key_jwt',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        jwks_uri: asked.jwks_uri,
        scope: asked.scope,
      },
    ],
    scopes,
    clientAuthMethods: ['private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: asked.algorithms },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    ttl: { ClientCredentials: 300 },
  });
  provider.use(async (ctx, next) => {
    if (ctx.path !== '/fhir/.well-known/smart-configuration') return next();
    ctx.body = {
      token_endpoint: `${issuer}/token`,
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      token_endpoint_auth_signing_alg_values_supported: asked.algorithms,
      grant_types_supported: ['client_credentials'],
      capabilities: ['client-confidential-asymmetric', 'permission-v2'],
    };
    return undefined;
  });
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`);
});
