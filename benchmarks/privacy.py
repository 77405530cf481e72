"""python -m benchmarks.privacy: how well and how fast prompts are screened, with the shipped analyzer.

Prints, for names and places: the share of prompts in which anything was found, the share with every span covered,
recall and precision per type; for identifiers and secrets recall and precision per type, on six sets; on five more,
of typical traffic, recall per type and the share of prompts with every value covered; false flags on clean
prompts per kind; and prompts per second for one and two processes. How the sets were made: privacy_sets.py,
privacy_values.py, privacy_unseen.py, privacy_foreign.py, privacy_blind.py, privacy_blind_second.py, privacy_secrets.py,
privacy_traffic.py, privacy_second_traffic.py, privacy_third_traffic.py and
privacy_last_traffic.py.
"""

import argparse
import multiprocessing
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.privacy_blind import blind_values
from benchmarks.privacy_blind_second import second_blind_values
from benchmarks.privacy_foreign import foreign_values
from benchmarks.privacy_last_traffic import clean_last_traffic, fifth_traffic, fourth_traffic
from benchmarks.privacy_second_traffic import (
    chosen_secrets,
    clean_of_passwords,
    clean_second_traffic,
    second_traffic,
)
from benchmarks.privacy_secrets import clean_of_secrets, secrets
from benchmarks.privacy_sets import Case, clean, names_and_places
from benchmarks.privacy_third_traffic import clean_third_traffic, third_traffic
from benchmarks.privacy_traffic import clean_traffic, traffic
from benchmarks.privacy_unseen import unseen_values
from benchmarks.privacy_values import values
from eyrie.privacy.engine import Analyzer, Finding, load_analyzer

_CONFIG = Path(__file__).parent.parent / "resources/privacy/analyzer.yaml"
_NAMES = ("PERSON", "LOCATION")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--part", choices=("dev", "test"), default="test", help="dev: the set that thresholds were chosen on"
    )
    parser.add_argument("--config", type=Path, default=_CONFIG)
    parser.add_argument("--threshold", type=float, default=0.4)
    parser.add_argument("--fail-closed", action="store_true")
    parser.add_argument("--copies", type=int, default=20, help="prompts per sentence or type")
    parser.add_argument("--num-speed", type=int, default=6_000, help="prompts of about 400 characters to time; 0: none")
    parser.add_argument("--show-clean", action="store_true", help="print the clean prompts that were flagged")
    options = parser.parse_args()
    analyzer = load_analyzer(options.config, fail_closed=options.fail_closed)
    names = names_and_places(options.part, copies=options.copies)
    report_names(names, analyzer, options.threshold)
    report_values("", values(copies=options.copies), analyzer, options.threshold)
    if options.part == "test":
        report_values("second set, ", unseen_values(copies=options.copies), analyzer, options.threshold)
        report_values("third set, ", foreign_values(copies=3 * options.copies), analyzer, options.threshold)
        for title, make in (("fourth set, ", blind_values), ("fifth set, ", second_blind_values)):
            report_values(title, make(copies=options.copies // 2, seed=7), analyzer, options.threshold)
    report_values("sixth set, ", secrets(options.part, copies=options.copies // 2), analyzer, options.threshold)
    copies = options.copies // 2
    report_traffic("traffic", traffic(options.part, copies=copies), analyzer, options.threshold)
    report_traffic("second traffic", second_traffic(options.part, copies=copies), analyzer, options.threshold)
    report_traffic("chosen secrets", chosen_secrets(options.part, copies=copies), analyzer, options.threshold)
    if options.part == "test":
        for title, make in (("third", third_traffic), ("fourth", fourth_traffic), ("fifth", fifth_traffic)):
            report_traffic(f"{title} traffic", make(copies=copies), analyzer, options.threshold)
    untouched = clean(options.part)
    report_clean("clean prompts", untouched, analyzer, options.threshold, show=options.show_clean)
    if options.part == "test":
        first = clean("first")
        report_clean("clean prompts, first set", first, analyzer, options.threshold, show=options.show_clean)
    report_clean(
        "prompts on passwords and keys without any",
        clean_of_secrets(options.part),
        analyzer,
        options.threshold,
        show=options.show_clean,
    )
    of_traffic = clean_traffic(options.part)
    report_clean("clean prompts of traffic", of_traffic, analyzer, options.threshold, show=options.show_clean)
    for title, cases in (
        ("clean prompts of second traffic", clean_second_traffic(options.part)),
        ("clean prompts on passwords", clean_of_passwords(options.part)),
        *([("clean prompts of third traffic", clean_third_traffic())] if options.part == "test" else []),
        *([("clean prompts of fourth and fifth traffic", clean_last_traffic())] if options.part == "test" else []),
    ):
        report_clean(title, cases, analyzer, options.threshold, show=options.show_clean)
    if options.num_speed:
        report_speed([*names, *untouched], options.config, options.threshold, options.num_speed)


def uncovered(text: str, span: tuple[int, int, str], found: Sequence[Finding]) -> bool:
    """Whether a letter or digit of the span lies outside every finding, of whatever type."""
    inside = {i for item in found for i in range(item.start, item.end)}
    return any(text[i].isalnum() and i not in inside for i in range(span[0], span[1]))


def report_names(cases: Sequence[Case], analyzer: Analyzer, threshold: float) -> None:
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        found = analyzer.find(case.text, score_threshold=threshold)
        missed = [span for span in case.spans if uncovered(case.text, span, found)]
        for group in (case.group, "all"):
            total = totals[group]
            total["prompts"] += 1
            total["flagged"] += bool(found)
            total["covered"] += not missed
            for entity in _NAMES:
                total[f"spans {entity}"] += sum(span[2] == entity for span in case.spans)
                total[f"missed {entity}"] += sum(span[2] == entity for span in missed)
            for item in found:
                right = any(item.start < span[1] and item.end > span[0] for span in case.spans)
                total[f"{'right' if right else 'wrong'} {item.entity}"] += 1
    for group, total in sorted(totals.items()):
        print(
            f"names and places, {group}: {total['prompts']} prompts, "
            f"prompt recall {total['flagged'] / total['prompts']:.3f}, "
            f"every span covered {total['covered'] / total['prompts']:.3f}"
        )
        for entity in _NAMES:
            spans, right = total[f"spans {entity}"], total[f"right {entity}"]
            precision = right / max(1, right + total[f"wrong {entity}"])
            print(
                f"  {entity}: recall {1 - total[f'missed {entity}'] / spans:.3f} of {spans}, precision {precision:.3f}"
            )


def _is_of(item: Finding, entity: str) -> bool:
    """Whether a finding has the type. A passport number does not tell its country."""
    return item.entity == entity or item.entity[2:] == entity[2:] == "_PASSPORT"


def report_values(title: str, cases: Sequence[Case], analyzer: Analyzer, threshold: float) -> None:
    """A value counts as found when a finding of its type covers it whole; a finding is right where it meets its value.

    A number that is also taken for another type counts against the precision of that one.
    """
    hits: dict[str, list[bool]] = defaultdict(list)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case in cases:
        found = analyzer.find(case.text, score_threshold=threshold)
        for start, end, entity in case.spans:
            group = case.group if case.group.startswith(entity) else entity  # another value beside the prompt's own
            hits[group].append(any(_is_of(item, entity) and item.start <= start and item.end >= end for item in found))
        for item in found:
            total[item.entity] += 1
            right[item.entity] += any(
                _is_of(item, entity) and item.start < end and item.end > start for start, end, entity in case.spans
            )
    for kind in ("identifiers", "secrets"):
        chosen = {name: marks for name, marks in hits.items() if name.startswith("SECRET") == (kind == "secrets")}
        marks = [mark for group in chosen.values() for mark in group]
        if not marks:
            continue
        print(f"{title}{kind}: recall {sum(marks) / len(marks):.4f} of {len(marks)} values of {len(chosen)} types")
        for name, group in sorted(chosen.items()):
            if not all(group):
                print(f"  {name}: {sum(group) / len(group):.3f}")
    wanted = sorted({entity for case in cases for _, _, entity in case.spans})
    print("  precision: " + ", ".join(f"{entity} {right[entity] / max(1, total[entity]):.2f}" for entity in wanted))
    others = {entity: count for entity, count in sorted(total.items()) if entity not in wanted}
    print(f"  findings of other types: {others or 'none'}")


def report_traffic(title: str, cases: Sequence[Case], analyzer: Analyzer, threshold: float) -> None:
    """A value counts as found when findings of whatever types cover its letters and digits: then it is not trained on.

    A finding that meets no value is false, but for names and places, which these prompts hold and do not mark.
    """
    hits: dict[str, list[bool]] = defaultdict(list)
    covered = 0
    false: Counter[str] = Counter()
    for case in cases:
        found = analyzer.find(case.text, score_threshold=threshold)
        marks = [not uncovered(case.text, span, found) for span in case.spans]
        covered += all(marks)
        for span, mark in zip(case.spans, marks, strict=True):
            hits[span[2]].append(mark)
        for item in found:
            if not any(item.start < end and item.end > start for start, end, _ in case.spans):
                false[item.entity] += item.entity not in _NAMES
    marks = [mark for group in hits.values() for mark in group]
    print(
        f"{title}: recall {sum(marks) / len(marks):.4f} of {len(marks)} values, "
        f"every value covered in {covered / len(cases):.3f} of {len(cases)} prompts"
    )
    for entity, group in sorted(hits.items()):
        print(f"  {entity}: {sum(group) / len(group):.3f} of {len(group)}")
    print(f"  findings that meet no value, names and places apart: {dict(+false) or 'none'}")


def report_clean(title: str, cases: Sequence[Case], analyzer: Analyzer, threshold: float, *, show: bool) -> None:
    flagged: Counter[str] = Counter()
    total = Counter(case.group for case in cases)
    for case in cases:
        found = analyzer.find(case.text, score_threshold=threshold)
        flagged[case.group] += bool(found)
        if found and show:
            print(
                "  flagged:", [(case.text[item.start : item.end], item.entity) for item in found], "in", repr(case.text)
            )
    print(f"{title}: {sum(flagged.values())} of {len(cases)} flagged ({sum(flagged.values()) / len(cases):.3f})")
    print("  " + ", ".join(f"{group} {flagged[group]} of {total[group]}" for group in total))
    others = len(cases) - total["general"]
    print(f"  without general knowledge: {(sum(flagged.values()) - flagged['general']) / others:.3f}")


def prompts_of(cases: Sequence[Case], count: int, length: int = 400) -> list[str]:
    """Prompts of about `length` characters, of different lines of the sets."""
    texts = sorted({case.text for case in cases})
    out = []
    position = 0
    while len(out) < count:
        text = ""
        while len(text) < length - 40:
            text += texts[position * 7919 % len(texts)] + "\n"
            position += 1
        out.append(text[: length + 60])
    return out


_worker: Analyzer | None = None


def _start(config: Path) -> None:
    global _worker
    _worker = load_analyzer(config)


def _count(texts: Sequence[str], threshold: float) -> tuple[int, float]:
    assert _worker is not None
    began = time.process_time()
    found = sum(bool(_worker.find(text, score_threshold=threshold)) for text in texts)
    return found, time.process_time() - began


def report_speed(cases: Sequence[Case], config: Path, threshold: float, count: int) -> None:
    """Wall clock and CPU seconds, after every worker has loaded its analyzer."""
    texts = prompts_of(cases, count)
    chunks = [texts[i : i + 100] for i in range(0, len(texts), 100)]
    print(f"speed: {len(texts)} prompts of {sum(map(len, texts)) / len(texts):.0f} characters")
    for workers in (1, 2):
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(config,)) as pool:
            list(pool.map(_count, chunks[: workers * 4], [threshold] * workers * 4))
            began = time.perf_counter()
            done = list(pool.map(_count, chunks, [threshold] * len(chunks)))
            wall = time.perf_counter() - began
        cpu = sum(seconds for _, seconds in done)
        print(
            f"  {workers} process{'es' if workers > 1 else ''}: {len(texts) / wall:.0f} prompts/s, "
            f"{len(texts) / cpu:.0f} prompts/s/core, {cpu / len(texts) * 1e6 / 3600:.2f} core-hours per 1M prompts"
        )


if __name__ == "__main__":
    main()
