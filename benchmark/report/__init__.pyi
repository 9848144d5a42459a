from .caption import (
    Coverage as Coverage,
    write_caption as write_caption,
)
from .formats import (
    FORMATS as FORMATS,
    FORMATS_FOR_PROGRAMS as FORMATS_FOR_PROGRAMS,
)
from .table import (
    DEFAULT_WIDTH as DEFAULT_WIDTH,
    render as render,
    tabulate as tabulate,
)
from .text_table import lay_out as lay_out
