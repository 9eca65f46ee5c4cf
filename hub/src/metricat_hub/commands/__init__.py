"""The subcommands that the hub adds to `metricat`, one module each, as `metricat_cli.commands` describes."""
