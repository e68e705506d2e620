"""The cases of OWASP CRS family 942 (SQL injection) that pass, each under its reason.

Their rules of paranoia level 2 to 4 fire on single operators and characters by design; most of
these are what honest clients send. The rest are attacks, or parts of some, that are missed.
"""

HARMLESS: dict[str, tuple[str, ...]] = {
    "an operator or type, as people choose it from a list": (
        "942120-2", "942120-3", "942120-4", "942120-5", "942120-6", "942120-7", "942120-8",
        "942120-9", "942120-10", "942120-13", "942120-14", "942120-15", "942120-16", "942120-21",
        "942120-40", "942120-42", "942120-43", "942470-3",
    ),
    "a name: Northwind, msdb, tempdb, schema_name": (
        "942140-8", "942140-9", "942140-12", "942140-13", "942140-14", "942140-16",
    ),
    "a number, also in hexadecimal": (
        "942220-1", "942220-4", "942450-1", "942450-8",
    ),
    "a quoted word or number": (
        "942190-2", "942490-15", "942490-21", "942510-1", "942510-3", "942511-2", "942511-3",
    ),
    "words: execute system, order by, /Cm7 or, is this your parents' or yours?": (
        "942120-20", "942210-7", "942210-17", "942210-22", "942210-29", "942210-45", "942210-47",
        "942380-4", "942380-5", "942380-6", "942380-15", "942380-23", "942380-31", "942380-32",
        "942380-33", "942380-34", "942380-35", "942380-36", "942380-37", "942380-38", "942432-1",
        "942432-10", "942521-3", "942521-5",
    ),
    "a run of special characters, as in passwords and rulers": (
        "942330-3", "942370-7", "942420-1", "942420-5", "942420-11", "942421-1", "942421-3",
        "942430-1", "942430-6", "942430-17", "942431-1", "942431-5", "942431-10", "942432-3",
        "942432-4", "942460-1",
    ),
    "a whole statement, which is content": ("942120-22", "942240-10", "942240-11"),
    "a random token, which they call a known false positive": ("942440-24",),
    "nothing: the vector lacks the header line that carried it": ("942280-4",),
}  # fmt: skip

ATTACKS: dict[str, tuple[str, ...]] = {
    "a beginning or middle that ordinary values share": (
        "942151-36", "942180-8", "942200-1", "942200-5", "942200-6", "942200-21",
        "942210-32", "942360-16", "942362-26", "942362-32", "942370-2",
        "942370-9", "942400-1", "942400-3", "942490-2", "942490-3", "942490-6",
        "942490-13", "942490-17", "942490-22",
    ),
    "too short and plain to be read at all": ("942210-70", "942210-74"),
    "a condition after a list": ("942130-6",),
    "an escaped quote, then and": ("942522-4",),
    "a keyword with a comment inside": ("942440-6",),
    "an attribute that its quote ended, in XML that is none": ("942240-12",),
    "a number that old interpreters hang on": ("942220-2", "942220-3"),
}  # fmt: skip
