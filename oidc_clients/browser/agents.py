"""What to call a browser in a list for people. Pure.

Browsers name each other in ``User-Agent``, so the order matters. What is not known here is shown
as it named itself; nothing is ever decided by it.
"""

_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def browser_name(agent: str) -> str:
    """``Firefox on Windows``, for the ``User-Agent`` of a browser."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in agent), "")
    if not browser:
        return agent or "a browser without a name"
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), "")
    return f"{browser} on {system}" if system else browser
