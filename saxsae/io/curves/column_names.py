"""Reads the line of column names above a table, in the spellings of instruments and programs.

Each name gets a role: "q", "intensity", "sigma" and so on (`ROLES`), or None if the name is not known. Called by
`column_roles` and `formats.nxcansas`.
"""

import re

from saxsae.io.curves.tables import MAX_LINE_CHARACTERS

# Each role and the names that have it, in lower case, with letters and digits alone. The first that matches counts.
_INTENSITY = "(?:int|intens|intensity|intensities|i)(?:q|s)?"
_MEASURED = ("(?:exp|expt|experimental|experiment|obs|observed|data|meas|measured|raw|sub|subtracted|sample|abs|avg|"
             "mean|corr|norm)")
_ERROR = ("(?:sigmas?|sig|err|errs|errors?|std|stdev|stddev|sdev|standarddeviation|standarderror|stderr|sd|esd|dev|"
          "uncertaint(?:y|ies)|unc|rms|delta)")
_COMPUTED = ("(?:fit|fits|fitted|calc|calculated|model|modell?ed|theory?|theoretical|theo|reg|sim|simulated|bestfit|"
             "extrap|extrapolated|density|smoothed|smooth)")
ROLES = {
    "qx": "qx|qxdata|q1x",
    "qy": "qy|qydata|q1y",
    "two_theta": ("(?:2|two)(?:theta|th|t)(?:deg|degrees?|rad|mrad)?|tth(?:deg|rad)?|"
                  "scatteringangle(?:2theta)?(?:deg|rad)?|deg|degrees?|(?:pd)?meas2theta(?:scan)?"),
    "theta": "theta|th|thetadeg|angle",
    "q_squared": "(?:q|s)(?:2|sq|squared?)|qq",
    "q_rg": "qrg|srg|qtimesrg",
    "log_q": "(?:log|ln|lg|log10|loge)(?:q|s)",
    "spin_echo": "spinecholength(?:a|nm)?|spinecho|depolari[sz]ation",
    "p_r": "pr|pofr|pddf|pairdistance(?:distribution)?(?:function)?|gammar|gr",
    "log_sigma": (f"{_ERROR}(?:of)?(?:log|ln)\\w*|(?:d|delta)(?:log|ln)\\w*|"
                  f"(?:log|log10|ln)(?:i|iq)?{_ERROR}"),
    "log10": f"(?:log10|lg|logten){_INTENSITY}",
    "ln": f"(?:ln|loge){_INTENSITY}",
    "log": f"log{_INTENSITY}",
    "kratky": (f"(?:q|s)2{_INTENSITY}|{_INTENSITY}(?:q|s)2|kratky|(?:q|s)?rg2?{_INTENSITY}\\w*|"
               "(?:q|s)rg2\\w*"),
    "porod": f"(?:q|s)4{_INTENSITY}|{_INTENSITY}(?:q|s)4|porod",
    "q_times_i": "(?:q|s)(?:int|intensity|i)(?:q|s)?|(?:i|int|intensity)q(?:times)?q|iqxq",
    "reciprocal": f"1{_INTENSITY}|zimm|sqrti(?:q)?",
    "structure_factor": "sofq|structurefactor",
    "dq": ("dq|dqoverq|sigmaq|sigq|qsigma|qsig|qerr|qerrors?|errq|errorq|deltaq|resolution|qresolution|res|dx|ex|"
           "qdev|qe|dqw|dql|fwhm|qstd|qsd|qwidth|stdq|xerr|xerror"),
    "fit": (f"(?:{_INTENSITY})?{_COMPUTED}(?:{_INTENSITY}|scattering)?|fitextrap|jreg|ireg|residuals?|chi2?|"
            "weightedresiduals?"),
    "component": ("(?:i)?(?:in)?(?:vacuo|vacuum|atomic|atoms|ofatoms|shape|excluded(?:volume)?|solvent|border|"
                  "borderlayer|hydration(?:layer|shell)?|shell|bulk)(?:scattering|intensity)?"),
    "sigma": (f"(?:{_MEASURED}?{_INTENSITY}|{_MEASURED})?{_ERROR}(?:of)?(?:{_INTENSITY}|{_MEASURED}|y)?|si|sigi|e|ei|"
              "ie|ise|di|diq|dy|ey|ierr|yerr|yerror|errbar|errorbar|isd|poisson(?:error)?|counting(?:error)?"),
    "intensity": (f"{_INTENSITY}{_MEASURED}?|{_MEASURED}?{_INTENSITY}|jexp|data|counts|cts|iofq|y|scattering|"
                  "(?:i)?(?:in)?solution|pdmeas(?:counts|intensity)(?:total|net)?|dsigmadomega|dsdw|dsdo|crosssection|"
                  "scatteredintensity|saxsintensity"),
    "q": ("q|s|qvector|qvec|qvalues?|momentumtransfer|scatteringvector(?:q)?|wavevector|q(?:nm1?|a1?|ang\\w*|inv\\w*|"
          "1nm|1a|m1|1m|rnm1)|qexp|qdata|qextrap|qavg|qbin|qmod|modq|x|momentumtransferq|scatteringvectormagnitude"),
    "d_spacing": "d|dspacing",
    "r": "r|rnm|ra|distance|radius",
    "index": "index|idx|no|nr|n|num|number|points?|pt|channels?|ch|chan|pixels?|bins?|row|id",
    "time": ("frames?|framenumber|frameno|frameindex|images?|imagenumber|times?|t|timestamp|volume|vol|ml|"
             "elution(?:volume|time)?|retention(?:time|volume)|min|minutes|seconds|fraction"),
    "trace": ("rg|rgerr|i0|izero|mw|mass|uv|uv280|a280|uvabsorbance|absorbance|conductivity|"
              "(?:total|integrated|summed|mean)intensity"),
    "other": "flag|background|bg|buffer|mask|weights?|npixels|meanq|shadowfactor|variance",
}
_PATTERNS = {role: re.compile(pattern) for role, pattern in ROLES.items()}
_WITH_BRACKETS_FIRST = (
    "log_sigma", "log10", "ln", "log", "kratky", "porod", "q_times_i", "reciprocal", "p_r", "log_q", "q_rg")
_FIT_ARGUMENT = re.compile(r"fit|model|calc\w*|density|reg|theory")
# Texts in brackets that are the argument of a function, not a unit.
_ARGUMENT = re.compile(r"(?:i|q|s|r|rg|iq|is|ir|int|intensity|theta|log\w*|ln\w*|q\W*rg)", re.IGNORECASE)
_UNIT_WORD = re.compile(r"[(\[]?(?:1/\w+|(?:A|Å|nm|cm|m)\^?[-−]\^?1|a\.?u\.?|deg|counts/s|cm2/g|-|–|and|vs\.?)[)\]]?")
_LINEAR_SIGMA = re.compile(r"(?:sigma|sig|err|error|d|delta|std|sd)[_ (]{0,3}(?:i|int|intensity|iq|i\(q\))\)?")
_SUPERSCRIPTS = str.maketrans("²⁴¹⁻×·∗", "241-***")


def name_columns(line: str, columns: int) -> list[tuple[str, str | None]] | None:
    """Returns the name and the role of each column, or None if the line does not hold a name for each.

    Args:
      line: a line above a table.
      columns: number of columns of the table.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        return None
    line = re.sub(r"^\s*(?:[#!;%]|//)+(?:L\s)?", "", line).strip()
    for variant in (line, re.sub(r"^[^:=|]{0,60}[:=|]\s*", "", line), re.sub(
            r"^.{0,40}?\bcolumns?\s+(?:are|is)?\s*[:|]?\s*", "", line, flags=re.IGNORECASE)):
        words = _split_names(variant)
        without_units = [word for word in words if not _UNIT_WORD.fullmatch(word)]
        for names in (words, without_units, _split_names(_join_products(variant))):
            if len(names) == columns or (len(names) == columns + 1 and not names[-1]):
                return [(name, find_role(name, i)) for i, name in enumerate(names[:columns])]
    return None


def find_role(name: str, position: int) -> str | None:
    """Returns the role of a column name, or None if it is not known.

    Args:
      name: the name, with its unit if it has one.
      position: index of the column; "s" and "x" are q in the first column alone.
    """
    name = name.translate(_SUPERSCRIPTS).replace("θ", "theta").replace("σ", "sigma").replace("Δ", "d").lower()
    if re.fullmatch(r"\s*[<\[(][^<>\[\]()]*[>\])]\s*", name):
        name = name.strip()[1:-1]
    brackets = re.findall(r"[(\[{<]([^()\[\]{}<>]*)[)\]}>]", name)
    if re.match(r"(?:i|int\w*)\W", name) and any(map(_FIT_ARGUMENT.fullmatch, brackets)):
        return "fit"
    with_arguments = name
    for content in brackets:
        if not _ARGUMENT.fullmatch(content.strip()):
            with_arguments = re.sub(r"[(\[{<]" + re.escape(content) + r"[)\]}>]", " ", with_arguments)
    full, plain = _squash(with_arguments), _squash(_without_brackets(name))
    if re.fullmatch(r"\W*\(?q\W*rg\)?.*", name) and full != "qrg":
        return "kratky"
    if full == "sq" and plain == "s" and position == 1:
        return "structure_factor"
    if plain == "s" and position > 0:
        return "sigma"
    if position == 0 and any(_PATTERNS["two_theta"].fullmatch(_squash(content)) for content in brackets):
        return "two_theta"
    if position > 0 and plain in ("deg", "degree", "degrees"):
        return "other"
    if plain in ("x", "t", "d") and position > 0:
        return "dq" if plain == "d" else "other"
    for role in _WITH_BRACKETS_FIRST:
        if _PATTERNS[role].fullmatch(full):
            return role
    if not plain and not full:
        return "index" if position == 0 else "other"
    for key in (plain, full, re.sub(r"\d+$", "", plain) if plain not in ("q2", "q4", "s2") else plain):
        found = next((role for role, pattern in _PATTERNS.items() if key and pattern.fullmatch(key)), None)
        if found == "q_squared" and position > 0:
            return "q"  # the q of a second curve
        if found is not None:
            return found
    return None


def name_is_linear_sigma(name: str) -> bool:
    """Returns whether a name says that a standard deviation is that of I, not of its logarithm."""
    return _LINEAR_SIGMA.fullmatch(name.strip().lower()) is not None


def _split_names(line: str) -> list[str]:
    """Returns the names in a line, each with its brackets; the separator is one of | , ; tab, else blanks."""
    depth, inside = 0, []
    for character in line:
        depth += (character in "([{") - (character in ")]}")
        depth = max(depth, 0)
        inside.append("_" if depth and character in " \t,;|" else character)
    line = re.sub(r"(?<=[^\s,;|])[ ]{1,20}(?=[(\[{])", "", "".join(inside)).replace('"', "").replace("'", "")
    separator = next((mark for mark in "|\t;," if mark in line.strip(" ")), None)
    if separator is None:
        return re.split(r"\s+", line.strip())
    words = [word.strip() for word in line.strip(" \r\n").split(separator)]
    return words[:-1] if separator == "|" and words[-1] == "" else words


def _join_products(line: str) -> str:
    """Returns a line with the blanks taken out of products such as "q^2 * I" and functions such as "log10 I"."""
    line = re.sub(r"\b(log10|log|ln|lg) (?=[iI])", r"\1_", line)
    line = re.sub(r"[ ]{0,5}[*·×][ ]{0,5}", "*", line)
    line = re.sub(r"(?i)\b([qs]\^?[24²⁴]) (?=i)", r"\1*", line)
    line = re.sub(r"(?i)\b(2|two)[ -](?=theta|th\b|θ)", "2", line)
    first_words = r"(?i)\b(std\.?|sigma|error|err\.?|scattering|scattered|momentum|wave|model|fit) (?=\w)"
    return re.sub(first_words, r"\1_", line)


def _without_brackets(name: str) -> str:
    """Returns a name without what stands in brackets, nested ones included."""
    for _ in range(3):
        name = re.sub(r"[(\[{<][^()\[\]{}<>]*[)\]}>]", "", name)
    return name


def _squash(name: str) -> str:
    """Returns the letters and digits of a name."""
    return re.sub(r"[^a-z0-9]", "", name)
