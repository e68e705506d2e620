// Where the provider keeps grants and refresh tokens: one Map, which outlives a key rotation.

const kept = new Map();

// Refresh tokens are forgotten, as if an administrator of the provider had taken them back.
export function forget() {
  for (const key of kept.keys()) if (key.startsWith('RefreshToken:')) kept.delete(key);
}

export class Shared {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    kept.set(this.key(id), payload);
  }

  async find(id) {
    return kept.get(this.key(id));
  }

  async findByUid(uid) {
    for (const [key, payload] of kept) {
      if (key.startsWith(`${this.model}:`) && payload.uid === uid) return payload;
    }
    return undefined;
  }

  async consume(id) {
    kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    kept.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key);
  }
}
