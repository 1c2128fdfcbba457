"""Python client: keys, build, sign, submit, wait, verify."""
