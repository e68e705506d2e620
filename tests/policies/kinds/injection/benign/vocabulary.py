"""What fills the slots of the benign templates. All of it is made up or everyday."""

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path

_WORDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("words.json").read_text())


def _b64(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(rng.randint(9, 48))).decode()


def _email(rng: random.Random) -> str:
    words = _WORDS["word"]
    return f"{rng.choice(words)}.{rng.choice(words)}+{rng.randint(1, 99)}@example.com"


def _url(rng: random.Random) -> str:
    words = _WORDS["word"]
    path = f"{rng.choice(words)}/{rng.randint(1, 999)}"
    return f"https://{rng.choice(words)}.example.com/{path}?{rng.choice(words)}={rng.choice(words)}"


def _street(rng: random.Random) -> str:
    return f"{rng.randint(1, 199)} {rng.choice(_WORDS['street'])}"


def _code(rng: random.Random) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(6))


def _version(rng: random.Random) -> str:
    return f"{rng.randint(0, 9)}.{rng.randint(0, 19)}.{rng.randint(0, 9)}"


def _file(rng: random.Random) -> str:
    return f"{rng.choice(_WORDS['word'])}_{rng.randint(1, 99)}.{rng.choice(_WORDS['ext'])}"


def _price(rng: random.Random) -> str:
    form = rng.choice(["${}.{}", "{},{} €", "£{}.{}", "CHF {}.{}"])
    return form.format(rng.randint(1, 999), rng.randint(10, 99))


def _words(words: list[str]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(words)


def _between(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda rng: str(rng.randint(low, high))


SLOTS: dict[str, Callable[[random.Random], str]] = {
    **{name: _words(words) for name, words in _WORDS.items()},
    "Word": lambda rng: rng.choice(_WORDS["word"]).title().replace("_", ""),
    "n": _between(1, 99),
    "small": _between(1, 9),
    "mm": _between(10, 59),
    "big": _between(10_000, 9_999_999),
    "port": _between(1024, 65535),
    "price": _price,
    "phone": lambda rng: f"+43 1 {rng.randint(100, 999)} {rng.randint(1000, 9999)}",
    "date": lambda rng: f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
    "time": lambda rng: f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
    "ver": _version,
    "hex": lambda rng: rng.randbytes(16).hex(),
    "hex6": lambda rng: rng.randbytes(3).hex(),
    "b64": _b64,
    "email": _email,
    "url": _url,
    "street": _street,
    "file": _file,
    "CODE": _code,
}
