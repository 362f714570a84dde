// An OpenID Connect provider on loopback, for tests: machines sign in and get JWT
// access tokens for one of two audiences.
//
// usage: node provider.mjs PORT ISSUER SEED [SECONDS [REDIRECT]]
//
// SEED says which keys sign: the same seed, the same key, under the same id.
// SECONDS shifts the clock, so that tokens may have expired when they are made. People
// sign in by any name, without a password, for the client "console" at REDIRECT; those
// whose name begins with "admin" are identity admins.
// It prints "ready" once it listens, and ends when its standard input does.
import { createHash, createPrivateKey, webcrypto } from 'node:crypto';

const [port, issuer, seed, shift = '0', redirect] = process.argv.slice(2);
if (!seed) {
  console.error('usage: node provider.mjs PORT ISSUER SEED [SECONDS [REDIRECT]]');
  process.exit(2);
}

// What the provider uses and Node.js 18 does not have.
globalThis.crypto ??= webcrypto;
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};

const now = Date.now;
Date.now = () => now() + Number(shift) * 1000;
// Only now: whatever reads the clock while it is loaded reads this one.
const { Provider } = await import('oidc-provider');

// An Ed25519 key is 32 bytes of anything, behind a fixed prefix (RFC 8410).
function keyFrom(text) {
  const bytes = createHash('sha256').update(text).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes]);
  const jwk = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
  const kid = createHash('sha256').update(jwk.x).digest('hex').slice(0, 16);
  return { ...jwk, kid, use: 'sig', alg: 'EdDSA' };
}

const scopes = 'idn:task-management:read idn:task-management:write';
const machine = (id, groups) => ({
  client_id: id,
  client_secret: `the secret of ${id}`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  id_token_signed_response_alg: 'EdDSA',
  scope: scopes,
  groups,
});

const people = {
  client_id: 'console',
  client_secret: 'the secret of console',
  grant_types: ['authorization_code'],
  redirect_uris: [redirect],
  response_types: ['code'],
  id_token_signed_response_alg: 'EdDSA',
};

const provider = new Provider(issuer, {
  clients: [machine('reader', ['staff']), machine('operator', ['staff', 'identity-admins']), ...(redirect ? [people] : [])],
  cookies: { keys: [seed] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email'] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: id.startsWith('admin') ? ['identity-admins'] : ['staff'] }),
  }),
  extraClientMetadata: { properties: ['groups'] },
  enabledJWA: { idTokenSigningAlgValues: ['EdDSA'] },
  jwks: { keys: [keyFrom(seed)] },
  scopes: ['openid', 'profile', 'email', ...scopes.split(' ')],
  extraTokenClaims: (_ctx, token) => ({ groups: token.client?.groups }),
  features: {
    devInteractions: { enabled: Boolean(redirect) },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, audience) => ({
        audience,
        scope: scopes,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'EdDSA' } },
      }),
    },
  },
});

const server = provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
server.on('error', (err) => {
  console.error(err.message);
  process.exit(1);
});
process.stdin.resume().on('end', () => process.exit(0));
