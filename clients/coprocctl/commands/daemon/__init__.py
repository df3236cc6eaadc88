"""The commands `coprocctl daemon …`, one file each."""
