"""Keys of the gateway as tests need them."""

from policies.gateway_keys import GatewayKey, GatewaySigner, make_private_key

ISSUER = "https://gateway.example"


def made_key(key_id: str = "g-1", signs_from: float = 0.0) -> GatewayKey:
    return GatewayKey(key_id, signs_from, make_private_key())


def made_signer(*keys: GatewayKey) -> GatewaySigner:
    """With one key, where none is given."""
    signer = GatewaySigner(ISSUER)
    signer.replace(keys or (made_key(),))
    return signer
