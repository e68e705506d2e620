"""Values that no header line can carry as they are."""

UNFIT = (
    "line\r\nX-Admin: yes",
    "line\nbreak",
    "nul\x00",
    "esc\x1b[0m",
    "del\x7f",
    "ünï",
    "\ud800",
    " led by a blank",
    "followed by one ",
    "tab\tinside",
    "x" * 4097,
)
