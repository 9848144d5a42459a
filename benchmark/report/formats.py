"""The formats of a table; apart from their code, so that a help page can list them cheaply."""

# tabulate's, with a caption and figures rounded for the eye.
FORMATS_FOR_PEOPLE = ("simple", "github", "latex", "html")
# Base units, full precision, nothing but the rows.
FORMATS_FOR_PROGRAMS = ("csv", "json")
FORMATS = FORMATS_FOR_PEOPLE + FORMATS_FOR_PROGRAMS
