"""Code exchanges: small Python functions and classes, SQL queries and shell commands.

The answer is one fenced block and a short explanation, all of it fixed by the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tools.demo.words import article, capital, joined, pick, picks

Exchange = tuple[str, str]


def fenced(language: str, code: str, explanation: str) -> str:
    """A fenced block followed by its explanation."""
    return f"```{language}\n{code}\n```\n\n{explanation}"


def plural(noun: str) -> str:
    """The plural of an entity name."""
    return noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun[-1] in "sx" else "s")


def purpose(rng: random.Random) -> str:
    """Why the code is wanted; the answer does not depend on it."""
    return rng.choice(
        [
            "",
            f" It is for the {pick(rng, 'departments')} team at {pick(rng, 'org_heads')}.",
            f" We use it in the {pick(rng, 'products')} project.",
            f" I will show it at the {pick(rng, 'events')} on {pick(rng, 'days')}.",
            f" {pick(rng, 'first_names')} will review it.",
            f" Please keep it readable for {pick(rng, 'audiences')}.",
        ]
    )


def count_where(rng: random.Random) -> Exchange:
    entity, field, value = pick(rng, "entities"), pick(rng, "fields"), pick(rng, "values")
    many = plural(entity)
    name = f"count_{value}_{many}"
    request = rng.choice(
        [
            f"Write a Python function `{name}` that counts the {many} whose {field} is '{value}'.",
            f"I need `{name}` in Python: it takes a list of {many} and returns how many have the {field} '{value}'.",
        ]
    )
    code = (
        f"def {name}({many}: list[dict]) -> int:\n"
        f'    """Count the {many} whose {field} is {value}."""\n'
        f"    return sum(1 for {entity} in {many} if {entity}['{field}'] == '{value}')"
    )
    text = f"The function `{name}` goes over all {many} and counts each {entity} whose `{field}` equals `{value}`."
    return request + purpose(rng), fenced("python", code, text)


def filter_range(rng: random.Random) -> Exchange:
    entity, field = pick(rng, "entities"), pick(rng, "fields")
    many, limit = plural(entity), rng.randint(2, 99)
    word, sign = rng.choice([("above", ">"), ("below", "<")])
    request = rng.choice(
        [
            f"Write a Python function that returns the {many} with a {field} {word} {limit}.",
            f"In Python, how do I filter a list of {many} so that only those with a {field} {word} {limit} remain?",
        ]
    )
    name = f"{many}_with_{field}_{word}"
    code = (
        f"def {name}({many}: list[dict], limit: int = {limit}) -> list[dict]:\n"
        f'    """Return the {many} with a {field} {word} the limit."""\n'
        f"    return [{entity} for {entity} in {many} if {entity}['{field}'] {sign} limit]"
    )
    text = f"Call `{name}({many})` to keep only the {many} with a `{field}` {word} {limit}."
    return request + purpose(rng), fenced("python", code, text)


def group_by(rng: random.Random) -> Exchange:
    entity, (key, field) = pick(rng, "entities"), picks(rng, "fields", 2)
    many = plural(entity)
    request = rng.choice(
        [
            f"Write Python code that groups {many} by {key} and adds up the {field} of each group.",
            f"Given a list of {many}, sum the {field} per {key} in Python.",
        ]
    )
    name = f"total_{field}_by_{key}"
    code = (
        f"from collections import defaultdict\n\n\n"
        f"def {name}({many}: list[dict]) -> dict:\n"
        f'    """Sum the {field} of the {many} per {key}."""\n'
        f"    totals = defaultdict(int)\n"
        f"    for {entity} in {many}:\n"
        f"        totals[{entity}['{key}']] += {entity}['{field}']\n"
        f"    return dict(totals)"
    )
    text = f"The result maps each `{key}` to the sum of `{field}` over its {many}."
    return request + purpose(rng), fenced("python", code, text)


def data_class(rng: random.Random) -> Exchange:
    entity, fields = pick(rng, "entities"), picks(rng, "fields", rng.randint(2, 4))
    name = capital(entity)
    request = rng.choice(
        [
            f"Write a Python class {name} with the attributes {joined(fields)} and a method that describes it.",
            f"Create {article(name)} dataclass in Python. Fields: {', '.join(fields)}. Add a describe method.",
        ]
    )
    lines = "\n".join(f"    {field}: str" for field in fields)
    shown = ", ".join(f"{field}={{self.{field}}}" for field in fields)
    code = (
        f"from dataclasses import dataclass\n\n\n@dataclass\nclass {name}:\n{lines}\n\n"
        f"    def describe(self) -> str:\n"
        f'        """Return a line that describes the {entity}."""\n'
        f'        return f"{name}({shown})"'
    )
    text = f"The class `{name}` stores {joined(fields)}; `describe` puts them into one line."
    return request + purpose(rng), fenced("python", code, text)


def sql_select(rng: random.Random) -> Exchange:
    table, cols = pick(rng, "tables"), picks(rng, "columns", rng.randint(2, 4))
    *shown, by = cols
    where, value = pick(rng, "columns"), pick(rng, "values")
    limit = rng.choice([5, 10, 20, 50, 100])
    request = rng.choice(
        [
            f"Write an SQL query that shows {joined(shown)} from the table {table} where "
            f"{where} is "
            f"'{value}', sorted by {by}, at most {limit} rows.",
            f"SQL question: from {table} I want {joined(shown)}, only rows with {where} = "
            f"'{value}', ordered by {by}, first {limit} rows.",
        ]
    )
    code = f"SELECT {', '.join(shown)}\nFROM {table}\nWHERE {where} = '{value}'\nORDER BY {by}\nLIMIT {limit};"
    text = (
        f"The query reads {joined(shown)} from `{table}`, keeps the rows whose `{where}` is "
        f"'{value}', sorts them by `{by}` and returns {limit} rows."
    )
    return request + purpose(rng), fenced("sql", code, text)


def sql_group(rng: random.Random) -> Exchange:
    table, (key, amount) = pick(rng, "tables"), picks(rng, "columns", 2)
    func = rng.choice(["average", "total", "highest", "lowest"])
    sql = {"average": "AVG", "total": "SUM", "highest": "MAX", "lowest": "MIN"}[func]
    request = rng.choice(
        [
            f"Write an SQL query for the {func} {amount} per {key} in the table {table}.",
            f"How do I get the {func} {amount} for every {key} of {table} in SQL?",
        ]
    )
    code = (
        f"SELECT {key}, {sql}({amount}) AS {func}_{amount}\nFROM {table}\nGROUP BY {key}\n"
        f"ORDER BY {func}_{amount} DESC;"
    )
    text = (
        f"`GROUP BY {key}` makes one row per {key}, and `{sql}({amount})` gives the {func} "
        f"{amount} of each group in `{table}`."
    )
    return request + purpose(rng), fenced("sql", code, text)


def shell_find(rng: random.Random) -> Exchange:
    folder, ext, days = pick(rng, "folders"), pick(rng, "extensions"), rng.randint(2, 60)
    delete = rng.random() < 0.5
    action = "delete" if delete else "list"
    request = rng.choice(
        [
            f"Give me a shell command to {action} all .{ext} files in the {folder} folder that are "
            f"older than {days} days.",
            f"How can I {action} every .{ext} file under {folder} older than {days} days in bash?",
        ]
    )
    code = f"find {folder} -name '*.{ext}' -mtime +{days} {'-delete' if delete else '-print'}"
    text = (
        f"`find` looks through `{folder}` for names that end in `.{ext}`; `-mtime +{days}` keeps "
        f"files older than {days} days, and the last option will {action} them."
    )
    return request + purpose(rng), fenced("bash", code, text)


def shell_grep(rng: random.Random) -> Exchange:
    folder, ext, word = pick(rng, "folders"), pick(rng, "extensions"), pick(rng, "search_words")
    count = rng.choice([3, 5, 10, 15, 20])
    request = rng.choice(
        [
            f"Which shell command shows the {count} .{ext} files in {folder} with the most lines containing '{word}'?",
            f"In bash, rank the .{ext} files of the {folder} directory by how often '{word}' "
            f"occurs "
            f"and print the top {count}.",
        ]
    )
    code = f"grep -c '{word}' {folder}/*.{ext} | sort -t: -k2 -nr | head -n {count}"
    text = (
        f"`grep -c` counts the lines with `{word}` in each .{ext} file of `{folder}`, `sort` puts "
        f"the highest count first, and `head` keeps {count} lines."
    )
    return request + purpose(rng), fenced("bash", code, text)


def convert(rng: random.Random) -> Exchange:
    one, two = picks(rng, "entities", 2)
    factor = rng.randint(2, 60)
    many, others = plural(one), plural(two)
    request = rng.choice(
        [
            f"Write a Python function that converts {many} to {others}, where one {one} is worth {factor} {others}.",
            f"One {one} equals {factor} {others}. Give me a Python function that turns a number of "
            f"{many} into {others}.",
        ]
    )
    name, const = f"{many}_to_{others}", f"{others.upper()}_PER_{one.upper()}"
    code = (
        f"{const} = {factor}\n\n\ndef {name}({many}: int) -> int:\n"
        f'    """Convert {many} to {others}."""\n    return {many} * {const}'
    )
    text = f"For example, `{name}(2)` returns {2 * factor}, because one {one} is {factor} {others}."
    return request + purpose(rng), fenced("python", code, text)


def test_case(rng: random.Random) -> Exchange:
    verb, entity, field = pick(rng, "verbs"), pick(rng, "entities"), pick(rng, "fields")
    before, after = picks(rng, "values", 2)
    name = f"{verb}_{entity}"
    request = rng.choice(
        [
            f"Write a pytest test for `{name}`, which changes the {field} of {article(entity)} "
            f"from "
            f"'{before}' to '{after}'.",
            f"My function `{name}` sets the {field} from '{before}' to '{after}'. Please write a test.",
        ]
    )
    code = (
        f"def test_{name}_sets_{field}():\n    {entity} = {{'{field}': '{before}'}}\n"
        f"    result = {name}({entity})\n    assert result['{field}'] == '{after}'"
    )
    text = (
        f"The test builds {article(entity)} with the {field} `{before}`, calls `{name}` and checks "
        f"that the {field} is now `{after}`."
    )
    return request + purpose(rng), fenced("python", code, text)


TASKS: tuple[Callable[[random.Random], Exchange], ...] = (
    count_where,
    filter_range,
    group_by,
    data_class,
    sql_select,
    sql_group,
    shell_find,
    shell_grep,
    convert,
    test_case,
)


def exchange(rng: random.Random) -> Exchange:
    """One code prompt and its answer."""
    return rng.choice(TASKS)(rng)
