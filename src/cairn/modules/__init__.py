"""One package per subject; each README is that subject's specification."""
