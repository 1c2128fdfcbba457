"""What to do about errors that carry no fixed hint of their own, by class.

Refusals of the ledger have their hints in `cairn.sdk.refusals`, requests and evidence in their
classes. The errors here get a hint where they are raised, if one is known there; this is the rest.
"""

BUG = "this is a bug or damage: keep the directory and the log as they are, and report it"
AGAIN = "start the node again; if it stops at the same place, keep the directory and report it"
SEE_HINT = "the hint beside the message says what to change"

ADVICE = {
    # the ledger and the engine
    "InvariantError": BUG,
    "MalformedBlockError": BUG,
    "MissingVerdictError": BUG,
    "DivergenceError": "do not start the node again before you know why: `cairn debug replay` "
    "names the height, module, table and key",
    "DivergedError": "see the module, table and key that it names; compare the versions of Cairn "
    "and Python on both sides",
    "EngineFault": AGAIN,
    "WorkerDiedError": "start the node again; see the system's log for why the process ended "
    "(often too little memory)",
    "DoubleSignError": "never run two nodes with one validator's key; restore the newest log, not "
    "an older copy",
    "OptimizedPythonError": "start it without -O and without PYTHONOPTIMIZE: the checks are part "
    "of the ledger",
    # the replicated engine
    "WireError": "the other side speaks another version: use the CometBFT that `make engine` "
    "builds",
    "HandshakeFault": "start CometBFT with the genesis and the data of this ledger, or restore "
    "both from one backup",
    "ProcessFault": "CometBFT's own log in the node's directory says why it ended; mend that, "
    "then start the node again",
    # the node
    "RolledBackError": "an old copy of the directory was started: restore the newest one, as the "
    "witness holds a head of it",
    "WrongDirectoryError": "put charter and store of one ledger together again, or choose the "
    "directory with --dir",
    "WitnessDirectoryError": "stop the other witness, or restore the directory from its backup; "
    "never start a witness's key with an empty directory",
    "WitnessAnswerError": "`cairn node status` says which witness and why; the node goes on "
    "without",
    # storage
    "NoSpaceError": "free some space and start the node again; nothing acknowledged is lost",
    "ReadOnlyError": "give this user write access to the directory, or remount it writable",
    "DiskFaultError": "check the disk and its file system, then start the node again",
    "WrongFormatError": "choose a ledger's directory, or use the version of Cairn that wrote it",
    "DirectoryInUseError": "stop the other process, or choose another directory with --dir",
    "CorruptLogError": "restore the log from a backup; `cairn debug fsck` says what is damaged",
    "CorruptCheckpointError": "delete the checkpoint (`cairn debug rebuild`): it is made again "
    "from the log",
    "CheckpointFailedError": "mend what the message names (space, rights), then start the node "
    "again",
    "ViewExpiredError": "ask again: a new view is opened for each request",
    "MisuseError": BUG,
    "SelfTestError": "install the exact PyNaCl of requirements/core.txt: another build decides "
    "signatures differently",
    "TrieNodeError": "rebuild the checkpoint from the log: `cairn debug rebuild`",
    # pages, reports, conversion and rules
    "PageError": SEE_HINT,
    "ReportError": "make the report again: `cairn data quality FILE`",
    "DifferenceError": "see the conversion report for the rows that differ; a model that was "
    "fitted on float32 inputs differs least",
    "ThresholdError": "`cairn model show` lists the model's inputs, with their kinds",
    # client, files and models
    "CairnError": SEE_HINT,
    "RejectedError": "look the code up on this page",
    "UnavailableError": "start the node, or give its address with --node",
    "PendingError": "look for it with `cairn tx show ID` before sending it again: it may still "
    "take effect",
    "NodeFaultError": "see the node's log; the entries above say what stopped it",
    "ProtocolError": "trust nothing that this node says before you know why: it answered with "
    "something that does not verify",
    "KeyFileError": "check the passphrase and the file under keys/",
    "UsageError": SEE_HINT,
    "NotFoundError": "list what there is with the noun's `list` or `show` command",
    "RuleTextError": "mend the line and column that the message names",
    "LearningError": SEE_HINT,
    "DatasetError": "mend the row and column that the message names, or the schema",
    "ManifestError": "use manifest, commitments and salts of one registration together",
    "ForgottenSubjectError": "nothing: that is what destroying a subject's key is for",
    "ChangedDataError": "restore the committed file, or register the new one under another version",
    "TrainingError": SEE_HINT,
    "MissingExtraError": "install the machine-learning extra",
    "ConversionError": SEE_HINT,
    "UnsupportedModelError": "train a kind of model that has an exact form: scorecard, linear, "
    "logistic, or trees of scikit-learn or LightGBM",
    "ExactError": SEE_HINT,
    "ModelFormError": "convert the model again with `cairn model convert`",
    "ModelInputError": "give the inputs in the order of the model's schema: `cairn model show`",
    "RuleFormError": "check the rule with `cairn rule check`",
    "KernelUnavailableError": "install Numba, or leave the choice of the kernel to Cairn",
    "PrimitiveError": "the bytes came from outside and are wrong: ask their maker for them again",
    "NonCanonicalError": "ask the maker of the bytes for them again; do not re-encode them",
    "InvalidKeyError": "check the key's text: it begins with did:key:z6Mk",
    "InvalidSignatureError": "check that the bytes were not changed and that the key is the "
    "signer's",
    "ProofError": "ask for the proof again, from a node that you can reach directly",
    "HeaderError": "ask for the header again; compare the validators with your trust file",
    "FixedPointError": "choose values within the stated range",
    "InvalidNameError": "use 1 to 64 characters of a-z, 0-9, '.', '_' and '-', a letter or digit "
    "first",
    "NoteError": "ask the witness again: the checkpoint or a cosignature is not in its one form",
    "DemoError": "run it again with --seed and --dir as printed, and report it if it fails again",
    "RowDisclosureError": "ask the data's owner to disclose the row again",
}

WITNESS_ADVICE = {
    "MalformedRequestError": "send a C2SP add-checkpoint request; a Cairn node does",
    "UnknownLogError": "tell the witness of the ledger: see the guide on running a witness",
    "UntrustedSignatureError": "the witness knows another validator key for this ledger: compare "
    "them",
    "SizeConflictError": "start the proof from the size in the answer; a Cairn node does by itself",
    "ForkedError": "keep both checkpoints: together they prove that the log signed two histories",
    "HeaderConflictError": "keep both checkpoints: together they prove two blocks at one height",
    "LowerHeightError": "the node was started from an old copy: restore the newest one",
    "InconsistentError": "keep the request: the new history does not extend the one cosigned "
    "before",
}

LITERAL_CODES = {
    "node/no_such_route": ("No route has this path.", "routes begin with /v1/", 404),
    "node/wrong_method": (
        "The route is called with another method.",
        "see the table of routes",
        405,
    ),
    "node/internal": (
        "A handler of the server failed in a way that nobody declared.",
        "see the node's log, and report it",
        500,
    ),
    "node/fault": (
        "The node has stopped at a fault.",
        "see the node's log, then start it again",
        503,
    ),
}
"""Codes that answers carry without a class of their own: what happened, what to do, HTTP status."""

NOT_SHOWN = frozenset(
    {
        # roots, of which only subclasses are raised
        "Rejection",
        "Fault",
        "StorageError",
        "EngineRequestError",
        "NodeRequestError",
        "WitnessError",
        "EvidenceError",
        # the power cut of the simulated disk, for tests
        "PowerCutError",
    }
)
