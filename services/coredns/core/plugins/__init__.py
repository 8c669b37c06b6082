"""CoreDNS's plugins, one a module: a directive's meaning, and what it does with a query."""
