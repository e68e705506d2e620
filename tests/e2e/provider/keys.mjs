// The provider's signing keys: the first of each type signs, every one is published.

import { generateKeyPairSync, randomBytes } from 'node:crypto';

function pair(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  const kid = `${alg.toLowerCase()}-${randomBytes(4).toString('hex')}`;
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid };
}

export function fresh() {
  return [
    pair('rsa', { modulusLength: 2048 }, 'RS256'),
    pair('ec', { namedCurve: 'P-256' }, 'ES256'),
  ];
}
