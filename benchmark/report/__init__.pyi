from .comparison import Comparison as Comparison
from .evaluations import Evaluations as Evaluations
from .formats import (
    FORMATS as FORMATS,
    FORMATS_FOR_PROGRAMS as FORMATS_FOR_PROGRAMS,
)
from .frame import epochs_frame as epochs_frame
from .options import (
    OptionText as OptionText,
    option_texts as option_texts,
)
from .run_table import (
    RunTable as RunTable,
    TableView as TableView,
)
from .table import DEFAULT_WIDTH as DEFAULT_WIDTH
from .text_table import (
    lay_out as lay_out,
    lay_out_prose as lay_out_prose,
)
