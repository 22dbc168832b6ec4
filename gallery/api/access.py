"""What a caller may do to what is visible, where a view cannot declare it: it depends on what is asked for."""

from accounts.access import require, require_somewhere

__all__ = ["require", "require_somewhere"]
