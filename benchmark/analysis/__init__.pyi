from .provenance import Provenance as Provenance
from .summary import summarize as summarize
