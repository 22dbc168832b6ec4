"""A permission that a release brings, given to built-in roles: what migrations of roles share."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def new_permission(permission: str, *, roles: tuple[str, ...]) -> migrations.RunPython:
    """Give `permission` to built-in roles by name; backwards, take it from every role and key."""

    def give(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        for role in apps.get_model("accounts", "Role").objects.filter(name__in=roles, is_built_in=True):
            if permission not in role.permissions:
                role.permissions = [*role.permissions, permission]
                role.save(update_fields=["permissions"])

    def take(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        # a role of the installation's own may have it too, and the older release does not know what it is
        for role in apps.get_model("accounts", "Role").objects.filter(permissions__contains=[permission]):
            role.permissions = [one for one in role.permissions if one != permission]
            role.save(update_fields=["permissions"])
        try:
            keys = apps.get_model("accounts", "ApiKey").objects
        except LookupError:
            return  # there were none yet
        # a key may not be left without any scope
        keys.filter(scopes=[permission]).delete()
        for key in keys.filter(scopes__contains=[permission]):
            key.scopes = [one for one in key.scopes if one != permission]
            key.save(update_fields=["scopes"])

    return migrations.RunPython(give, take)
