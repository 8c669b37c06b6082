"""Table output: the columns and cells of `kubectl get` (kubernetes `pkg/printers/internalversion/printers.go`)."""
