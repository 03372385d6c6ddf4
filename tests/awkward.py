"""SKUs that break what was made for letters and digits: other scripts, and every printable sign."""

from __future__ import annotations

SKUS = [
    *("GRÜN-1", "16½", "緑-1", "صنف-١", "कॉफ़ी", "😀", "緑" * 42, "~" * 64, "ẹ́"),
    *("A/B", "/A/", "50%", "a+b", "x y", "a@b@main", "?q", "#1", "%2F", "a&b=c", '"q"', "a,b;c", "{x}", "\\", "a:b"),
    *("50% off", "A:publish", "a?b#c&d=e"),
    *("..", ".", "a/../b", "./a", "//", "*", ">", "a.b", "_", "'", "=1+1", "--json", "[red]", "$1"),
]
"""Each in Unicode's normal form C; unlike each other."""
