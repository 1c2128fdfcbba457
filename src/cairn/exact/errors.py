"""Errors of exact arithmetic: a model, a rule or an input that is outside its stated form."""


class ExactError(Exception):
    """Root of what `exact` raises about values that come from outside."""


class ModelFormError(ExactError):
    """The bytes decode, but a named limit or a structural rule of exact models is broken."""


class ModelInputError(ExactError):
    """A row does not fit the model's input schema."""


class RuleFormError(ExactError):
    """The rule decodes, but a named limit or a structural rule of rules is broken."""


class KernelUnavailableError(ExactError):
    """A compiled kernel was asked for by name and Numba is not installed."""
