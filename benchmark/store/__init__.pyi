from .description import RunDescription as RunDescription
from .directory import (
    RUN_FILE as RUN_FILE,
    RunDirectory as RunDirectory,
)
from .housekeeping import (
    decoded_data_sets as decoded_data_sets,
    find_runs as find_runs,
    kept_weights as kept_weights,
    remove_all as remove_all,
    remove_from as remove_from,
    size_bytes as size_bytes,
    unfinished_work as unfinished_work,
)
from .lock import DirectoryLock as DirectoryLock
from .records import Records as Records
from .versions import (
    Version as Version,
    Versions as Versions,
    version_of as version_of,
)
