"""The state machine: transactions, tables, series, blocks, genesis; knows no module."""
