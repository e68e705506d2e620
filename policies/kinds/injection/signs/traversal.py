"""Signs of path traversal: a value that leaves the folder it is meant for."""

from policies.kinds.injection.signs.sign import Sign

_SLASH = r"[/\\]"
_SECRET = (
    r"(?:etc[/\\](?:\./)*(?:passwd|shadow|group|hosts\b|master\.passwd|subuid|subgid|sudoers"
    r"|fstab|issue"
    r"|crontab|ssh/|apache2|nginx/nginx|mysql/|httpd)|proc[/\\](?:self|version|cmdline|net|sys"
    r"|[0-9]+|interrupts)"
    r"|boot\.ini|win\.ini|windows[/\\](?:system32|win\.ini|repair)|winnt[/\\]|web-inf[/\\]"
    r"|meta-inf[/\\]"
    r"|ntuser\.dat|\.ssh[/\\]|id_rsa\b|\.aws[/\\]|\.docker[/\\]|\.kube[/\\]"
    r"|\.git[/\\](?:config|head)|\.env$|\.htaccess"
    r"|\.htpasswd|wp-config\.php|\.bash_history|\.history\b|httpd\.conf|apache2\.conf"
    r"|var[/\\]log[/\\](?:auth|secure|apache|nginx))"
)
SIGNS = (
    Sign(
        "traversal",
        5,
        "a path that climbs",
        rf"^['\"]?(?:file:)?\.\.+{_SLASH}|^\.\.;|(?:^|[/\\=\s])\.\.\\",
    ),
    Sign(
        "traversal",
        5,
        "a path that climbs more than once",
        rf"\.\.{_SLASH}(?:[^\s'\"`]*{_SLASH})?\.\.{_SLASH}|\.\.\.+{_SLASH}\.\.",
    ),
    Sign(
        "traversal",
        5,
        "a path that climbs to a file of the system",
        rf"\.\.+{_SLASH}[^\n]*{_SECRET}|\.\.{_SLASH}\.\w+",
    ),
    Sign(
        "traversal",
        5,
        "a file that only the system reads",
        rf"^[^\s'\"`]*(?:^|[/\\=:\s]){_SECRET}|\bfile:/{{1,3}}(?:etc|proc|windows|c:|\.)|(?:cat"
        rf"|type|less|more|head|tail|>)\s+\S*{_SECRET}",
    ),
    Sign("traversal", 5, "a share of another machine", r"^\\\\+[\w.:?-]+\\+\w+\$\\"),
    Sign(
        "traversal",
        5,
        "dots and slashes in a disguise",
        r"0x2e\.|0x5c0x2e|0x2e0x2e|%c0%ae|%%32%65|\x{2025}|\.%00",
    ),
)
