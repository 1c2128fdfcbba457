"""Opens a stranger's model file without running what is in it.

XGBoost's JSON and LightGBM's text are data. A skops file names the types that it is made of; only
those of scikit-learn, XGBoost, LightGBM and NumPy that fitted models need are made. Pickles are
never opened: they are programs.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

from cairn.learning.conversion.errors import ConversionError
from cairn.learning.conversion.xgboost_models import XGBoostFile
from cairn.learning.errors import MissingExtraError
from cairn.learning.extras import Untyped, require

SIZE_BYTES_MAX = 512 * 1024 * 1024
PICKLES = (".pkl", ".pickle", ".joblib", ".sav", ".dill", ".cloudpickle")
SUFFIXES = (".json", ".ubj", ".txt", ".skops")

TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "functools.partial",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRegressor",
    }
)
"""Types beyond skops' own list that a fitted model may hold; none runs code when it is made."""


_SKOPS_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
"""What opening a damaged skops file raises: errors of zip, JSON and NumPy, and of types' state."""


_LIGHTGBM_KEYS = (b"\nnum_leaves=", b"\nnum_cat=", b"\nleaf_value=", b"\nshrinkage=")


def load_model(path: Path) -> Untyped:
    """Return the model in a file, for `conversion.convert`.

    Args:
        path: XGBoost's `.json` or `.ubj`, LightGBM's `.txt`, or a `.skops` file of scikit-learn.

    Raises:
        ConversionError: The file is missing, of another kind, damaged, or holds untrusted types.
        MissingExtraError: The library that the file needs is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise _pickle_error(path)
    if suffix not in SUFFIXES:
        raise ConversionError(
            f"{path.name} is no model file that can be opened",
            hint="give XGBoost's .json or .ubj, LightGBM's .txt, or a .skops file of scikit-learn",
        )
    try:
        if path.stat().st_size > SIZE_BYTES_MAX:
            raise ConversionError(
                f"{path.name} is larger than {SIZE_BYTES_MAX:,} bytes", hint="train a smaller model"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise ConversionError(
            f"{path} cannot be read: {error.strerror}", hint="name a file that you may read"
        ) from error
    if suffix == ".skops":
        return _load_skops(path.name, raw)
    if suffix == ".txt":
        return _load_lightgbm(path.name, raw)
    if suffix == ".json":
        return _load_xgboost_json(path.name, raw)
    return _load_ubj(path.name, raw)


def _pickle_error(path: Path) -> ConversionError:
    load = "joblib.load" if path.suffix == ".joblib" else "pickle.load"
    argument = repr(path.name) if path.suffix == ".joblib" else f"open({path.name!r}, 'rb')"
    module = load.partition(".")[0]
    return ConversionError(
        f"{path.name} is a pickle, and opening a pickle runs whatever program is in it",
        hint="where you trust the file, write it as skops, and convert that:\n"
        f"    import skops.io, {module}\n"
        f"    skops.io.dump({load}({argument}), '{path.stem}.skops')",
    )


def _load_skops(name: str, raw: bytes) -> Untyped:
    skops_io = require("skops.io")
    try:
        untrusted = sorted(set(skops_io.get_untrusted_types(data=raw)) - TRUSTED)
        if untrusted:
            raise ConversionError(
                f"{name} holds types that are not trusted: {', '.join(untrusted)}",
                hint="save a Pipeline of scikit-learn's own steps, with a model of scikit-learn, "
                "XGBoost or LightGBM",
            )
        return skops_io.loads(raw, trusted=sorted(TRUSTED))
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        package = "xgboost-cpu" if library == "xgboost" else library
        raise ConversionError(
            f"{name} holds a model of {library}, which is not installed",
            hint=f"install it: pip install {package}",
        ) from error
    except ConversionError:
        raise
    except _SKOPS_ERRORS as error:
        raise ConversionError(
            f"{name} is no skops file that can be read here: {error}",
            hint="write it again by skops.io.dump, with the versions that are installed here",
        ) from error


def _load_lightgbm(name: str, raw: bytes) -> Untyped:
    lightgbm = require("lightgbm")
    try:
        text = raw.decode("utf-8")
        _check_lightgbm_text(name, raw)
        return lightgbm.Booster(model_str=text)
    except (UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise ConversionError(
            f"{name} is not a model in LightGBM's text form: {error}", hint="write it by save_model"
        ) from error


def _check_lightgbm_text(name: str, raw: bytes) -> None:
    """Check that the text holds the trees that its head announces; LightGBM aborts on others.

    Raises:
        ConversionError: It does not.
    """
    head, _, trees = raw.partition(b"\nTree=")
    trees = b"Tree=" + trees
    sizes = [line[11:].split() for line in head.split(b"\n") if line.startswith(b"tree_sizes=")]
    is_whole = head.startswith(b"tree\n") and len(sizes) == 1
    end = 0
    for size in sizes[0] if is_whole else ():
        if not size.isdigit():
            is_whole = False
            break
        block = trees[end : end + int(size)]
        is_whole &= block.startswith(b"Tree=") and all(key in block for key in _LIGHTGBM_KEYS)
        end += int(size)
    if not is_whole or not trees[end:].startswith(b"end of trees"):
        raise ConversionError(
            f"{name} is not a whole model in LightGBM's text form",
            hint="write it by save_model, and copy it in one piece",
        )


def _load_xgboost_json(name: str, raw: bytes) -> XGBoostFile:
    try:
        document: Any = json.loads(raw)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConversionError(
            f"{name} is not JSON: {error}", hint="write it by XGBoost's save_model('model.json')"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("learner"), dict):
        raise ConversionError(
            f"{name} is not a model that XGBoost saved",
            hint="write it by XGBoost's save_model('model.json'); dump_model leaves out what is "
            "needed",
        )
    try:
        xgboost = require("xgboost")
    except MissingExtraError:
        return XGBoostFile(document)
    return XGBoostFile(document, _booster(xgboost, name, raw))


def _load_ubj(name: str, raw: bytes) -> XGBoostFile:
    try:
        xgboost = require("xgboost")
    except MissingExtraError as error:
        raise ConversionError(
            f"{name} is in XGBoost's binary form, which needs the library",
            hint="install it (pip install xgboost-cpu), or save the model as .json",
        ) from error
    booster = _booster(xgboost, name, raw)
    return XGBoostFile(json.loads(bytes(booster.save_raw("json"))), booster)


def _booster(xgboost: Untyped, name: str, raw: bytes) -> Untyped:
    try:
        return xgboost.Booster(model_file=bytearray(raw))
    except xgboost.core.XGBoostError as error:
        first = str(error).strip().splitlines()[0]
        raise ConversionError(
            f"{name} is not a model that this XGBoost reads: {first}",
            hint="write it by save_model, with a version no newer than the one installed here",
        ) from error
