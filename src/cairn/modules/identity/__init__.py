"""Who may speak: organisations, people, devices, their keys and roles, and n-of-m approvals."""
