"""Names, places, sums and addresses for authored scenarios: the values behind `{slots}`. Seeded, invented."""

import random
import string

from guardian.embedding.text import vocabulary

_FIRST = vocabulary(
    "Amara Bjorn Chen Dalia Emeka Farah Goran Hana Ivo Jun Kavya Lars Mina Noor Oskar Priya Quinn Rosa"
    " Sven Tara Uma Viktor Wen Yara Zoe Marta Pavel Ines"
)
_LAST = vocabulary(
    "Okafor Lindqvist Wei Haddad Novak Silva Tanaka Moreau Iyer Kowalski Brandt Osei Petrov Reyes Sato"
    " Dubois Khan Larsen Mensah Rossi Weber Nakamura Costa"
)
_STEMS = vocabulary(
    "Nor Vel Quanta Blue Halo Terra Lumen Orbit Cedar Apex Delta Miro Sol Kite Fjord Argo Pine Nova Zen Kelvin"
)
_TAILS = [
    "works",
    "tech",
    "ware",
    "Labs",
    "Foods",
    "Logistics",
    "Systems",
    "Partners",
    "Energy",
    "Health",
    "Industries",
    "&",
    "Sons",
    "GmbH",
    "Retail",
]
_CITIES = vocabulary(
    "Lagos Oslo Porto Leeds Austin Osaka Lyon Gdansk Quito Pune Tampere Malmo Cork Graz Perth Busan"
)
_PRODUCTS = vocabulary(
    "toner laptops sensors valves jackets coffee chairs batteries routers cement vaccines bicycles pumps headsets"
)
_JOBS = (
    "data engineer",
    "nurse",
    "site manager",
    "accountant",
    "welder",
    "product designer",
    "paralegal",
    "driver",
)
_TOPICS = (
    "solar panels",
    "the office move",
    "budget planning",
    "data retention",
    "the summer party",
    "battery recycling",
    "supplier risk",
    "the new intranet",
    "school meals",
    "remote work",
    "bike lanes",
    "water quality",
)
_VENUES = (
    "Cafe Lumen",
    "the Harbour Room",
    "Hotel Miramar",
    "Trattoria Nove",
    "the Old Mill",
    "Studio 12",
    "Parkhaus Hall",
    "the Blue Heron",
)
_NOTES = (
    "The numbers are in the second tab.",
    "See you on Thursday then.",
    "Please use the new form from now on.",
    "I have attached what we agreed on.",
    "The doors open half an hour earlier.",
    "Thanks again for your patience.",
    "We moved it to the small room.",
    "The old link no longer works.",
)
_MONTHS = vocabulary("January February March April May June July August September October November December")


def fill_slots(rnd: random.Random) -> dict[str, str]:
    """A value for each slot; `X2` is another one of the same kind, `outmail` an address outside the house."""

    def person() -> str:
        return f"{rnd.choice(_FIRST)} {rnd.choice(_LAST)}"

    def mail(name: str) -> str:
        host = f"{rnd.choice(_STEMS)}{rnd.choice(_TAILS[:3])}".lower()
        end = rnd.choice(("com", "org", "io", "net", "example"))
        return f"{name.lower().replace(' ', rnd.choice('._'))}@{host}.{end}"

    def code() -> str:
        return rnd.choice(("{}{}", "{}-{}", "#{}{}")).format(
            rnd.choice(string.ascii_uppercase), rnd.randint(100, 99999)
        )

    out: dict[str, str] = {}
    for suffix in ("", "2"):
        out[f"company{suffix}"] = f"{rnd.choice(_STEMS)}{rnd.choice(('', ' ', '-'))}{rnd.choice(_TAILS)}"
        out[f"person{suffix}"] = person()
        out[f"city{suffix}"] = rnd.choice(_CITIES)
        out[f"product{suffix}"] = rnd.choice(_PRODUCTS)
        out[f"project{suffix}"] = f"{rnd.choice(_STEMS).lower()}{rnd.choice(('', '-api', '-web', '_etl'))}"
        out[f"file{suffix}"] = (
            f"{rnd.choice(_STEMS).lower()}_{rnd.choice(('terms', 'notes', 'q3', 'list', 'letter'))}"
            f".{rnd.choice(('pdf', 'txt', 'docx'))}"
        )
        out[f"host{suffix}"] = (
            f"{rnd.choice(('api', 'web', 'db', 'queue'))}-{rnd.choice(_STEMS).lower()}-{rnd.randint(1, 9)}"
        )
        out[f"channel{suffix}"] = rnd.choice(("ops", "sales", "random", "legal", "design", "releases", "support"))
        out[f"amount{suffix}"] = str(rnd.choice((rnd.randint(10, 900), rnd.randint(1, 90) * 100)))
        out[f"street{suffix}"] = f"{rnd.randint(1, 240)} {rnd.choice(_LAST)} Street"
        out[f"id{suffix}"] = code()
        out[f"mail{suffix}"] = mail(out[f"person{suffix}"])
        out[f"date{suffix}"] = f"2026-{rnd.randint(1, 12):02d}-{rnd.randint(1, 28):02d}"
        out[f"time{suffix}"] = f"{rnd.randint(7, 20):02d}:{rnd.choice(('00', '15', '30', '45'))}"
        out[f"iban{suffix}"] = f"{rnd.choice(('DE', 'FR', 'GB', 'NL'))}{rnd.randint(10**17, 10**18)}"
        out[f"url{suffix}"] = (
            f"https://{rnd.choice(_STEMS).lower()}{rnd.randint(1, 99)}.{rnd.choice(('io', 'com', 'net'))}"
            f"/{rnd.choice(('in', 'u', 'drop', 'x', 'docs', 'news', 'a'))}"
        )
        out[f"topic{suffix}"], out[f"venue{suffix}"] = rnd.choice(_TOPICS), rnd.choice(_VENUES)
        out[f"note{suffix}"] = rnd.choice(_NOTES)
    out["repo"], out["repo2"] = f"{out['project']}/core", f"{out['project2']}/infra"
    out["outmail"] = mail(person())
    out["job"], out["month"] = rnd.choice(_JOBS), rnd.choice(_MONTHS)
    out["count"], out["phone"] = str(rnd.randint(2, 60)), f"+{rnd.randint(10**9, 10**10)}"
    return out
