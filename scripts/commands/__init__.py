"""The subcommands of podwire, one file each."""
