"""Makes the parts of the documentation site that come from the contract, the program and its settings."""
