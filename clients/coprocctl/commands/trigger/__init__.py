"""The commands `coprocctl trigger …`, one file each; `coprocctl.triggers` has what they share."""
