"""Models: their bytes, versions, deployments and which version is live."""
