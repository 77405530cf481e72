"""Extraction exchanges: a passage and a request whose answer is copied from the passage.

A passage is a list of short news items about invented people and companies. The request names the
item by its company, and asks for one sentence, for JSON, or for a list.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from tools.demo.words import (
    article,
    company,
    full_name,
    joined,
    pick,
)

Exchange = tuple[str, str]


@dataclass(frozen=True)
class News:
    """One news item: its sentences, and its facts by key in the order of the text."""

    about: str
    text: str
    facts: dict[str, str]


def hire(rng: random.Random, org: str) -> News:
    person, job, place = full_name(rng), pick(rng, "departments"), pick(rng, "places")
    month, reason = pick(rng, "months"), pick(rng, "reasons")
    day = rng.randint(1, 28)
    text = (
        f"{org} hired {person} as head of {job} in {place} on {day} {month}. The post had been "
        f"open "
        f"because of {reason}."
    )
    facts = {
        "company": org,
        "person": person,
        "department": job,
        "place": place,
        "date": f"{day} {month}",
    }
    return News(org, text, facts)


def launch(rng: random.Random, org: str) -> News:
    product, price, place = pick(rng, "products"), rng.randint(5, 900), pick(rng, "places")
    month, person = pick(rng, "months"), full_name(rng)
    day = rng.randint(1, 28)
    text = (
        f"{org} launched a {product} for {price} dollars in {place} on {day} {month}. The idea "
        f"came "
        f"from {person}, who has worked there as {article(pick(rng, 'occupations'))}."
    )
    facts = {
        "company": org,
        "product": product,
        "price": str(price),
        "place": place,
        "date": f"{day} {month}",
    }
    return News(org, text, facts)


def meeting(rng: random.Random, org: str) -> News:
    event, room, person = pick(rng, "events"), pick(rng, "rooms"), full_name(rng)
    day, hour, count = pick(rng, "days"), rng.randint(8, 18), rng.randint(5, 95)
    text = (
        f"{org} will hold a {event} in {room} on {day} at {hour}:00. {person} expects {count} "
        f"guests "
        f"from {pick(rng, 'places')}."
    )
    facts = {
        "company": org,
        "event": event,
        "room": room,
        "day": day,
        "host": person,
        "guests": str(count),
    }
    return News(org, text, facts)


def recall(rng: random.Random, org: str) -> News:
    product, reason = pick(rng, "products"), pick(rng, "reasons")
    count, person, month = rng.randint(20, 990), full_name(rng), pick(rng, "months")
    text = (
        f"{org} stopped the sale of {count} units of its {product} in {month} because of {reason}. "
        f"Questions go to {person} in the {pick(rng, 'departments')} department."
    )
    facts = {
        "company": org,
        "product": product,
        "units": str(count),
        "month": month,
        "reason": reason,
        "contact": person,
    }
    return News(org, text, facts)


NEWS = (hire, launch, meeting, recall)


def passage(rng: random.Random, count: int) -> list[News]:
    """`count` news items about different companies."""
    orgs: list[str] = []
    while len(orgs) < count:
        org = company(rng)
        if org not in orgs:
            orgs.append(org)
    return [rng.choice(NEWS)(rng, org) for org in orgs]


def request_json(rng: random.Random, item: News) -> Exchange:
    keys = list(item.facts)
    request = rng.choice(
        [
            f"Extract the facts about {item.about} as JSON with the keys {joined(keys)}.",
            f"Return a JSON object for {item.about}. Keys: {', '.join(keys)}.",
            f"List the facts about {item.about} as JSON ({', '.join(keys)}).",
        ]
    )
    return request, f"```json\n{json.dumps(item.facts, indent=2)}\n```"


def request_list(rng: random.Random, item: News) -> Exchange:
    keys = list(item.facts)[1:]
    request = rng.choice(
        [
            f"List the {joined(keys)} in the news about {item.about}.",
            f"What does the text say about {item.about}? Give the {joined(keys)}.",
            f"From the text, note the {joined(keys)} for {item.about} as bullet points.",
        ]
    )
    lines = "\n".join(f"- {key}: {item.facts[key]}" for key in keys)
    return request, f"The text says this about {item.about}:\n\n{lines}"


def request_quote(rng: random.Random, item: News) -> Exchange:
    key = rng.choice(list(item.facts)[1:])
    request = rng.choice(
        [
            f"What is the {key} in the news about {item.about}? Quote the passage.",
            f"Find the {key} for {item.about} and quote where it says so.",
            f"Which {key} is given for {item.about}? Please quote the source sentences.",
        ]
    )
    return request, f'The {key} is {item.facts[key]}. The text says: "{item.text}"'


REQUESTS = (request_json, request_list, request_quote)


def long_count(rng: random.Random) -> int:
    """A number of news items that makes a prompt of well over 1,000 tokens."""
    return rng.randint(32, 40)


def exchange(rng: random.Random, count: int | None = None) -> Exchange:
    """One passage of `count` news items (1 to 8 when not given) with a request and its answer."""
    items = passage(rng, count or rng.choice([1, 1, 2, 2, 3, 3, 4, 5, 6, 8]))
    request, answer = rng.choice(REQUESTS)(rng, rng.choice(items))
    text = " ".join(item.text for item in items)
    prompt = rng.choice(
        [
            f"{text}\n\n{request}",
            f"Text:\n{text}\n\nTask: {request}",
            f"Read this report from {pick(rng, 'places')}.\n\n{text}\n\n{request}",
            f"{request}\n\n{text}",
        ]
    )
    return prompt, answer
