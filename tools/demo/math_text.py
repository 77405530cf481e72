"""Math exchanges: word problems and expressions with small whole numbers, solved in steps.

Every answer shows one equation per step as `a op b = c` and ends with `**Answer: n ...**`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tools.demo.words import pick, picks

Exchange = tuple[str, str]


def steps(*lines: str, answer: str) -> str:
    """Numbered steps and the final line."""
    body = "\n".join(f"Step {number}: {line}" for number, line in enumerate(lines, start=1))
    return f"{body}\n\n**Answer: {answer}**"


def gain_and_loss(rng: random.Random) -> Exchange:
    name, goods, place = pick(rng, "first_names"), pick(rng, "goods"), pick(rng, "places")
    start, more = rng.randint(5, 60), rng.randint(2, 30)
    less = rng.randint(1, start)
    friend = pick(rng, "first_names")
    request = rng.choice(
        [
            f"{name} has {start} {goods}, gets {more} more from {friend} in {place} and then loses "
            f"{less}. How many {goods} does {name} have now?",
            f"At the {pick(rng, 'shops')} in {place}, {name} starts with {start} {goods}, buys "
            f"{more} more and gives {less} to {friend}. How many {goods} are left?",
        ]
    )
    total = start + more
    answer = steps(
        f"add the new {goods}: {start} + {more} = {total}.",
        f"subtract the ones that are gone: {total} - {less} = {total - less}.",
        answer=f"{total - less} {goods}",
    )
    return request, answer


def packing(rng: random.Random) -> Exchange:
    name, goods, box = pick(rng, "first_names"), pick(rng, "goods"), pick(rng, "containers")
    count, each, extra = rng.randint(2, 12), rng.randint(2, 12), rng.randint(1, 20)
    request = rng.choice(
        [
            f"{name} fills {count} {box} with {each} {goods} each and has {extra} {goods} left "
            f"over. "
            f"How many {goods} are there in total?",
            f"In {pick(rng, 'places')} there are {count} {box} that hold {each} {goods} each, plus "
            f"{extra} loose ones. Find the number of {goods}.",
        ]
    )
    product = count * each
    answer = steps(
        f"count the {goods} in the {box}: {count} * {each} = {product}.",
        f"add the extra {goods}: {product} + {extra} = {product + extra}.",
        answer=f"{product + extra} {goods}",
    )
    return request, answer


def sharing(rng: random.Random) -> Exchange:
    name, goods = pick(rng, "first_names"), pick(rng, "goods")
    people, each, kept = rng.randint(2, 10), rng.randint(2, 12), rng.randint(1, 15)
    total = people * each + kept
    request = rng.choice(
        [
            f"{name} has {total} {goods}, keeps {kept} and shares the rest equally among {people} "
            f"friends from {pick(rng, 'places')}. How many does each friend get?",
            f"After setting aside {kept} of {total} {goods}, {name} splits the others between "
            f"{people} {pick(rng, 'containers')}. How many {goods} go into each?",
        ]
    )
    answer = steps(
        f"subtract what is kept: {total} - {kept} = {total - kept}.",
        f"divide the rest by {people}: {total - kept} / {people} = {each}.",
        answer=f"{each} {goods}",
    )
    return request, answer


def shopping(rng: random.Random) -> Exchange:
    name, shop = pick(rng, "first_names"), pick(rng, "shops")
    one, two = picks(rng, "goods", 2)
    a, p, b, q = rng.randint(2, 9), rng.randint(1, 9), rng.randint(2, 9), rng.randint(1, 9)
    cost = a * p + b * q
    paid = cost + rng.randint(1, 20)
    request = (
        f"At the {shop}, {name} buys {a} {one} for {p} dollars each and {b} {two} for {q} dollars "
        f"each, and pays with {paid} dollars. "
    ) + rng.choice(["How much change is due?", f"How much money does {name} get back?"])
    answer = steps(
        f"cost of the {one}: {a} * {p} = {a * p}.",
        f"cost of the {two}: {b} * {q} = {b * q}.",
        f"total cost: {a * p} + {b * q} = {cost}.",
        f"change: {paid} - {cost} = {paid - cost}.",
        answer=f"{paid - cost} dollars",
    )
    return request, answer


def travel(rng: random.Random) -> Exchange:
    vehicle, (start, end) = pick(rng, "vehicles"), picks(rng, "places", 2)
    speed, hours, more = rng.randint(2, 12) * 5, rng.randint(2, 6), rng.randint(5, 50)
    request = rng.choice(
        [
            f"A {vehicle} leaves {start} and moves at {speed} km per hour for {hours} hours, then "
            f"covers {more} km more to {end}. How far is it in total?",
            f"From {start} to {end}, a {vehicle} does {hours} hours at {speed} km per hour and a "
            f"last stretch of {more} km. What is the whole distance?",
        ]
    )
    product = speed * hours
    answer = steps(
        f"distance of the {vehicle} at {speed} km per hour: {speed} * {hours} = {product}.",
        f"add the last stretch to {end}: {product} + {more} = {product + more}.",
        answer=f"{product + more} km",
    )
    return request, answer


def rectangle(rng: random.Random) -> Exchange:
    width, length = rng.randint(2, 12), rng.randint(3, 15)
    place = rng.choice([pick(rng, "rooms"), f"the {pick(rng, 'settings')}"])
    request = rng.choice(
        [
            f"The floor of {place} in {pick(rng, 'places')} is {length} m long and {width} m wide. "
            f"Find its area and its perimeter.",
            f"{pick(rng, 'first_names')} measures {place}: {length} m by {width} m. What are the "
            f"area and the perimeter?",
        ]
    )
    area, half = length * width, length + width
    answer = steps(
        f"area is length times width: {length} * {width} = {area}.",
        f"half of the perimeter: {length} + {width} = {half}.",
        f"perimeter: 2 * {half} = {2 * half}.",
        answer=f"area {area} square m, perimeter {2 * half} m",
    )
    return request, answer


def percent(rng: random.Random) -> Exchange:
    rate, base = rng.choice([10, 20, 25, 50]), rng.randint(1, 25) * 20
    item = pick(rng, "products")
    shop = pick(rng, "shops")
    off = base * rate // 100
    request = rng.choice(
        [
            f"A {item} costs {base} dollars at the {shop} in {pick(rng, 'places')}. It is sold "
            f"with "
            f"{rate} percent off. What is the new price?",
            f"{pick(rng, 'first_names')} gets a discount of {rate} percent on a {item} that costs "
            f"{base} dollars. How much is paid?",
        ]
    )
    answer = steps(
        f"find {rate} percent of {base}: {base} * {rate} / 100 = {off}.",
        f"subtract the discount: {base} - {off} = {base - off}.",
        answer=f"{base - off} dollars",
    )
    return request, answer


def expression(rng: random.Random) -> Exchange:
    a, b, c, d = rng.randint(2, 40), rng.randint(2, 12), rng.randint(2, 12), rng.randint(1, 30)
    lead = rng.choice(
        [
            f"{pick(rng, 'first_names')} has this on a worksheet. Work out",
            f"For the {pick(rng, 'events')} I need the value of",
            "Please calculate",
            "Evaluate step by step:",
        ]
    )
    product = b * c
    total = a + product
    if rng.random() < 0.5 and total >= d:
        answer = steps(
            f"multiply first: {b} * {c} = {product}.",
            f"add: {a} + {product} = {total}.",
            f"subtract: {total} - {d} = {total - d}.",
            answer=f"{total - d}",
        )
        return f"{lead} {a} + {b} * {c} - {d}.", answer
    answer = steps(
        f"multiply first: {b} * {c} = {product}.",
        f"add: {product} + {a} = {total}.",
        answer=f"{total}",
    )
    return f"{lead} {b} * {c} + {a}.", answer


PROBLEMS: tuple[Callable[[random.Random], Exchange], ...] = (
    gain_and_loss,
    packing,
    sharing,
    shopping,
    travel,
    rectangle,
    percent,
    expression,
)


def exchange(rng: random.Random) -> Exchange:
    """One math prompt and its worked answer."""
    return rng.choice(PROBLEMS)(rng)
