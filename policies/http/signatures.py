"""HTTP message signatures (RFC 9421): what a message carries, read strictly.

Rules of this file:
1. A label stands once in ``Signature-Input`` and once in ``Signature``, and in both or in none.
2. A component is covered once; its parameters are known and agree with each other.
3. A signature parameter is one of the six of RFC 9421 2.3, with the type it has there: what is
   not understood is not passed over.
4. ``alg`` never chooses the algorithm. The key's record does, and ``alg`` must agree with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from policies.core.values import Headers
from policies.http import structured
from policies.http.components import Component, Message, SignatureRefused, signature_base

MAX_SIGNATURES = 8
MAX_COMPONENTS = 64

_PARAMETER_TYPES: dict[str, type] = {
    "created": int,
    "expires": int,
    "nonce": str,
    "alg": str,
    "keyid": str,
    "tag": str,
}


class Parameters(NamedTuple):
    """The parameters of a signature (RFC 9421 2.3); moments in seconds since the epoch."""

    created: int | None = None
    expires: int | None = None
    nonce: str | None = None
    alg: str | None = None
    keyid: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as a message carries it; nothing of it is believed yet."""

    label: str
    components: tuple[Component, ...]
    parameters: Parameters
    parameters_text: str = field(repr=False)
    value: bytes = field(repr=False)

    def base(self, message: Message) -> bytes:
        """What must have been signed. Raises ``SignatureRefused``."""
        return signature_base(self.components, self.parameters_text, message)


def signatures(headers: Headers) -> list[Signature]:
    """Every signature of a message, in the order of ``Signature-Input``.

    Raises ``SignatureRefused`` if one of them is malformed.
    """
    inputs = _dictionary(headers, b"signature-input")
    values = _dictionary(headers, b"signature")
    if inputs.keys() != values.keys():
        raise SignatureRefused("Signature-Input and Signature name different signatures")
    if len(inputs) > MAX_SIGNATURES:
        raise SignatureRefused(f"there are more than {MAX_SIGNATURES} signatures")
    return [_signature(label, member, values[label]) for label, member in inputs.items()]


def _dictionary(headers: Headers, name: bytes) -> dict[str, structured.Member]:
    try:
        return structured.dictionary(headers.all(name))
    except structured.FieldRefused as error:
        raise SignatureRefused(f"{name.decode().title()}: {error}") from error


def _signature(label: str, member: structured.Member, value: structured.Member) -> Signature:
    items, parameters = member
    if not isinstance(items, list):
        raise SignatureRefused("Signature-Input: a member is not a list of components")
    if not isinstance(value[0], bytes):
        raise SignatureRefused("Signature: a member is not a byte sequence")
    return Signature(
        label,
        _components(items),
        _parameters(parameters),
        structured.serialised([member]),
        value[0],
    )


def _components(items: Iterable[structured.Item]) -> tuple[Component, ...]:
    components = []
    for name, parameters in items:
        if not isinstance(name, str):
            raise SignatureRefused("Signature-Input: a component is not named by a string")
        components.append(Component(name, tuple(parameters.items())).checked())
    if len(components) > MAX_COMPONENTS:
        raise SignatureRefused(f"more than {MAX_COMPONENTS} components are covered")
    if len({component.identity for component in components}) < len(components):
        raise SignatureRefused("a component is covered twice")
    return tuple(components)


def _parameters(given: Mapping[str, Any]) -> Parameters:
    for name, value in given.items():
        wanted = _PARAMETER_TYPES.get(name)
        if wanted is None or type(value) is not wanted:
            raise SignatureRefused("a signature parameter is unknown or of the wrong type")
    return Parameters(**given)


def signature_fields(
    label: str, components: Iterable[Component], parameters: Parameters
) -> tuple[str, str]:
    """``@signature-params`` of a signature to be made, and its member of ``Signature-Input``."""
    covered = [(component.name, dict(component.parameters)) for component in components]
    given = {name: value for name, value in parameters._asdict().items() if value is not None}
    text = structured.serialised([(covered, given)])
    return text, f"{label}={text}"
