from .paths import (
    usable_folder as usable_folder,
    usable_path as usable_path,
)
from .reading import (
    UnreadableError as UnreadableError,
    in_a_line as in_a_line,
    is_there as is_there,
    opened as opened,
    read_bounded as read_bounded,
)
from .strict_json import (
    LARGEST_WHOLE_NUMBER as LARGEST_WHOLE_NUMBER,
    parse_json as parse_json,
)
from .writing import (
    folder_written_atomically as folder_written_atomically,
    is_read_only as is_read_only,
    last_lines as last_lines,
    remove as remove,
    replacing as replacing,
    write_atomically as write_atomically,
    write_fault as write_fault,
)
