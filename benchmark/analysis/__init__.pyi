from .summary import summarize as summarize
