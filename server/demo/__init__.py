"""The demo district: fictional, drawn from a seed, dated relative to today."""
