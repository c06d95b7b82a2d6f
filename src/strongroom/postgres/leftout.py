"""What ``pg_dump`` leaves out for a role that is no superuser, with a word in passing or with none.

Subscriptions are dumped for superusers only (``getSubscriptions``), and the options of a user
mapping for whom the view ``pg_user_mappings`` shows them: to nobody else it says that there are
none, so whether there are any cannot be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LEFT_OUT: Final = """\
(SELECT json_build_object(
  'subscriptions', (SELECT coalesce(json_agg(subname ORDER BY subname), '[]') FROM pg_subscription
    JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database() AND NOT rolsuper),
  'mappings', (SELECT coalesce(json_agg(json_build_array(usename, m.srvname)), '[]')
    FROM pg_user_mappings m JOIN pg_foreign_server f ON f.oid = m.srvid
    WHERE umoptions IS NULL AND NOT rolsuper
      AND NOT CASE WHEN umuser = 0 THEN pg_has_role(srvowner, 'USAGE')
        ELSE usename = current_user AND has_server_privilege(f.oid, 'USAGE') END))
  FROM pg_roles WHERE rolname = current_user)"""


def said_of(
    subscriptions: Sequence[str], mappings: Sequence[tuple[str, str]], *, wanted: bool
) -> list[str]:
    """Return a sentence for each; ``wanted``: subscriptions. A mapping is a user and a server."""
    found = [
        f"subscription {one!r} is not saved: pg_dump leaves it out for who is no superuser; "
        "subscriptions = false in the source accepts that"
        for one in subscriptions
        if wanted
    ]
    return found + [
        f"options of the user mapping of {user} for {to!r} are not saved, if it has any: this user "
        "cannot see them"
        for user, to in mappings
    ]
