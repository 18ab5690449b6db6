"""What images cost to store: by their codes, and by formats that know no model."""
