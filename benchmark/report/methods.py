"""A paragraph for the methods section of a paper: what was trained on what, and how compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from benchmark.analysis import ComparedGroup, Contender, by_protocol, has_same_images
from benchmark.protocol import DatasetRecord
from benchmark.report.comparison_sentences import incomplete_sentence, judged_by
from benchmark.report.sentences import listed, percent
from benchmark.summaries import Difference, Ratio

_ACCURACY = "Accuracy is that after the last epoch; no epoch was chosen by its test accuracy."
_RULE = (
    "The {} confidence intervals of differences in accuracy cover two sources of doubt, training "
    "seeds and {} images: seeds are nested in models and {} images are crossed with them, so "
    "answers are paired by image and not by seed (the split-plot design of multi-reader multi-case "
    "studies; Hillis, Statistics in Medicine 33, 2014; for networks Jordan, arXiv:2304.01910, "
    "2023), with degrees of freedom by Satterthwaite (Biometrics Bulletin 2, 1946)."
)
_LOOKS = (
    "Seeds were added look by look, until they were enough; the risk of an error of 5 % was spread "
    "over all looks (Bonferroni), so that intervals and p-values hold at whichever of them the "
    "training stopped."
)
_SCORE = (
    "Where seeds did not differ, or fewer than ten images were classified wrongly or rightly, "
    "the interval is the score interval of Tango (Statistics in Medicine 17, 1998) over images."
)
_OVER_SEEDS = (
    "Models that were judged by different images were compared over seeds alone (Welch, Biometrika "
    "34, 1947), which leaves out the doubt that comes from the choice of images."
)
_RANKS = (
    "Ranks rest on the p-values of all pairs, adjusted after Holm (Scandinavian Journal of "
    "Statistics 6, 1979)."
)
_ONE_SEED = (
    "Of models that were trained with one seed no interval can be given; two such trainings were "
    "compared by the exact test of McNemar (Psychometrika 12, 1947), which calls two trainings of "
    "one model different in at least one case of six."
)
_NO_INTERVAL = "Of models that were trained with one seed no interval can be given."
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_WELCH = "by the interval of Welch (Biometrika 34, 1947) for the logarithms"
_PAIRED = "by Student's interval (Biometrika 6, 1908) for the logarithms, paired by seed"


def methods_paragraph(group: ComparedGroup) -> str:
    """Say how the rows of a table were trained and compared, of those with completed trials."""
    trained = [found for found in group.contenders if found.outcomes is not None]
    if not trained:
        return "No trial completed."
    sentences = [*_trainings(trained), *_incomplete(group.contenders), _ACCURACY]
    return " ".join([*sentences, *_intervals(group), *_ratios(group)])


def latex_text(text: str) -> str:
    """The text as LaTeX has it, in which some characters are commands."""
    return "".join(_LATEX.get(character, character) for character in text)


def _trainings(contenders: Sequence[Contender]) -> Iterator[str]:
    """What was trained, once for each protocol."""
    for alike in by_protocol(contenders):
        yield _training(alike)


def _training(contenders: Sequence[Contender]) -> str:
    protocol = contenders[0].protocol
    dataset = protocol.dataset
    epochs = "1 epoch" if protocol.epochs == 1 else f"{protocol.epochs} epochs"
    options = ", ".join(f"{name} {value}" for name, value in protocol.recipe.options.items())
    models = listed([_model(found) for found in contenders])
    return (
        f"We trained {models} on the {dataset.train_images:,} training images of {dataset.name} "
        f"(fingerprint {dataset.fingerprint[:16]}, {dataset.classes} classes) for {epochs} with "
        f"the recipe {protocol.recipe.name}{f' ({options})' if options else ''} and a batch size "
        f"of {protocol.batch_size}, in {protocol.precision}, with {_seeds(contenders)}, on "
        f"{_each(found.devices for found in contenders)}, using {_software(contenders)}. They "
        f"{_judged(dataset)}."
    )


def _judged(dataset: DatasetRecord) -> str:
    held_out = (
        f"were judged by {dataset.validation_images:,} images held out of the training set"
        if dataset.validation_images
        else ""
    )
    tested = f"were tested on {dataset.test_images:,} images" if dataset.test_images else ""
    return " after every epoch, and ".join(filter(None, [held_out, tested]))


def _model(contender: Contender) -> str:
    params = contender.params
    details = (
        [] if params is None else [f"{params:,} {'parameter' if params == 1 else 'parameters'}"]
    )
    if contender.control_of is not None:
        details.append(f"{contender.control_of} with other seeds, as a control")
    return f"{contender.name} ({'; '.join(details)})" if details else contender.name


def _seeds(contenders: Sequence[Contender]) -> str:
    counts = [len(found.seeds) for found in contenders]
    if len({*counts}) == 1:
        each = " each" if len(counts) > 1 else ""
        return f"{_number_of_seeds(counts[0])}{each}"
    return listed(
        [
            f"{_number_of_seeds(count)} for {found.name}"
            for found, count in zip(contenders, counts, strict=True)
        ]
    )


def _number_of_seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _software(contenders: Sequence[Contender]) -> str:
    core = _each(found.core_versions for found in contenders)
    torch = _each(found.torch_versions for found in contenders)
    return f"benchmark {core} and PyTorch {torch}" if torch else f"benchmark {core}"


def _each(groups: Iterator[tuple[str, ...]]) -> str:
    """Every text of all groups, once."""
    return listed(sorted({text for group in groups for text in group}))


def _incomplete(contenders: Sequence[Contender]) -> Iterator[str]:
    """Of which models trials are missing."""
    for found in contenders:
        if not found.seeds:
            yield f"No trial of {found.name} completed."
    yield from filter(None, [incomplete_sentence(contenders)])


def _intervals(group: ComparedGroup) -> Iterator[str]:
    """How the intervals that there are were computed."""
    paired: list[Difference] = []
    over_seeds: list[Difference] = []
    for row in group.rows:
        if row.difference is None or row.reference is None:
            continue
        is_paired = has_same_images(row.contender.protocol, row.reference.protocol)
        (paired if is_paired else over_seeds).append(row.difference)
    freedoms = [found.degrees_of_freedom for found in paired if found.p_value is not None]
    if freedoms:
        confidences = sorted({found.confidence for found in paired})
        images = judged_by(group)
        yield _RULE.format(listed([percent(level) for level in confidences]), images, images)
    if group.seeds_were_added and freedoms:
        yield _LOOKS
    if math.inf in freedoms:
        yield _SCORE
    if over_seeds:
        yield _OVER_SEEDS
    if any(found.trainings_p_value is not None for found in paired):
        yield _ONE_SEED
    elif any(1 in found.counts for found in paired):
        yield _NO_INTERVAL
    if any(row.rank for row in group.rows):
        yield _RANKS


def _ratios(group: ComparedGroup) -> Iterator[str]:
    """How times and memory were compared, where they were."""
    seconds = [row.epoch_seconds for row in group.rows if row.epoch_seconds is not None]
    memory = [row.peak_memory for row in group.rows if row.peak_memory is not None]
    if seconds:
        yield (
            "The epoch time of a trial is the median training time of its epochs after the first, "
            f"without evaluation; times were compared by ratios of geometric means{_by(seconds)}."
        )
    if memory:
        yield f"Peak memory was compared by ratios of geometric means{_by(memory)}."


def _by(ratios: Sequence[Ratio]) -> str:
    kinds = [_PAIRED if ratio.is_paired else _WELCH for ratio in ratios if ratio.low is not None]
    return f", {listed([*dict.fromkeys(kinds)])}" if kinds else ""
