"""Where the TravelPlanner can go: a small gazetteer, and a sensible invented entry for anywhere else."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["DESTINATIONS", "Destination", "elsewhere", "find_destination", "fold", "lookup"]


@dataclass(frozen=True)
class Destination:
    """A place with its sights; `neighbours` names places of this gazetteer in nearby countries.

    `warmth_c` is a mild day in spring, `swing_c` how far summer and winter lie from it; negative on the
    southern half of the globe, where July is winter.
    """

    name: str
    country: str
    warmth_c: int
    swing_c: int
    sights: tuple[str, ...]
    neighbours: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name with its country, unless they are the same or the country is unknown."""
        return self.name if self.country in ("", self.name) else f"{self.name}, {self.country}"


def _parse(line: str) -> Destination:
    name, country, warmth, swing, sights, neighbours = (field.strip() for field in line.split("|"))
    return Destination(
        name=name,
        country=country,
        warmth_c=int(warmth),
        swing_c=int(swing),
        sights=tuple(sight.strip() for sight in sights.split(";")),
        neighbours=tuple(neighbour.strip() for neighbour in neighbours.split(";")),
    )


# name | country | mild day, °C | swing, °C | sights | neighbours, the likeliest first
_GAZETTEER = """
Amsterdam|Netherlands|13|9|the canal ring;the Rijksmuseum;the Jordaan;Vondelpark|Brussels;Berlin
Athens|Greece|20|10|the Acropolis;Plaka;the Acropolis Museum;Lycabettus Hill|Istanbul;Rome
Auckland|New Zealand|17|-5|the harbour;Mount Eden;the War Memorial Museum;Waiheke Island|Sydney;Bali
Bali|Indonesia|29|1|the rice terraces;Ubud;a temple by the sea;the southern beaches|Singapore;Sydney
Bangkok|Thailand|31|2|the Grand Palace;Wat Arun;Chatuchak market;the canals|Hanoi;Singapore
Barcelona|Spain|18|7|the Sagrada Família;the Gothic Quarter;Park Güell;Barceloneta beach|Lisbon;Paris
Berlin|Germany|13|11|the Museum Island;the Brandenburg Gate;Tiergarten;Kreuzberg|Prague;Copenhagen
Brussels|Belgium|13|8|the Grand-Place;the Atomium;the comics murals;Sablon|Amsterdam;Paris
Budapest|Hungary|16|12|the castle hill;the thermal baths;the Parliament;Margaret Island|Vienna;Prague
Buenos Aires|Argentina|19|-7|San Telmo;La Boca;Recoleta;the Palermo parks|Santiago;Rio de Janeiro
Cairo|Egypt|26|8|the pyramids of Giza;Khan el-Khalili;the Coptic quarter;the Nile|Athens;Istanbul
Cape Town|South Africa|19|-5|Table Mountain;the V&A Waterfront;Bo-Kaap;Kirstenbosch|Nairobi;Cairo
Copenhagen|Denmark|11|9|Nyhavn;Tivoli;the harbour baths;Christianshavn|Stockholm;Berlin
Dublin|Ireland|12|5|Trinity College;Temple Bar;Phoenix Park;the Liffey quays|London;Edinburgh
Edinburgh|Scotland|11|6|the castle;Arthur's Seat;the Royal Mile;Dean Village|Dublin;London
Hanoi|Vietnam|26|6|the Old Quarter;Hoan Kiem lake;the Temple of Literature;Tay Ho|Bangkok;Taipei
Istanbul|Turkey|17|9|Hagia Sophia;the Grand Bazaar;the Bosphorus;Galata|Athens;Cairo
Lima|Peru|20|-4|Miraflores;Barranco;the Larco Museum;the seafront|Santiago;Buenos Aires
Lisbon|Portugal|19|6|Alfama;Belém;the tram 28 route;a miradouro at sunset|Madrid;Marrakesh
London|England|13|7|the South Bank;the British Museum;Greenwich;Camden|Paris;Dublin
Madrid|Spain|18|11|the Prado;Retiro park;La Latina;the royal palace|Lisbon;Paris
Marrakesh|Morocco|24|9|the medina;Jemaa el-Fnaa;the Majorelle Garden;the souks|Madrid;Lisbon
Mexico City|Mexico|24|2|the Zócalo;Coyoacán;Chapultepec;the Anthropology Museum|New York;Lima
Nairobi|Kenya|25|-2|the national park;Karura Forest;the railway museum;the markets|Cairo;Cape Town
New York|United States|15|12|Central Park;the High Line;Brooklyn Bridge;the Met|Toronto;Mexico City
Oslo|Norway|9|11|the Opera House roof;Vigeland park;Bygdøy;the fjord islands|Stockholm;Copenhagen
Paris|France|15|8|the Louvre;Montmartre;the Seine quays;the Marais|Brussels;London
Prague|Czechia|14|11|Charles Bridge;the castle;the Old Town Square;Letná|Vienna;Berlin
Reykjavik|Iceland|6|6|Hallgrímskirkja;the old harbour;a thermal pool;Perlan|Edinburgh;Oslo
Rio de Janeiro|Brazil|26|-3|Sugarloaf;Corcovado;Ipanema;Santa Teresa|Buenos Aires;Lima
Rome|Italy|18|9|the Colosseum;Trastevere;the Pantheon;Villa Borghese|Vienna;Athens
Santiago|Chile|19|-8|San Cristóbal hill;Bellavista;the central market;Lastarria|Buenos Aires;Lima
Seoul|South Korea|16|14|Gyeongbokgung;Bukchon;Namsan;the Cheonggyecheon stream|Tokyo;Taipei
Singapore|Singapore|31|1|Gardens by the Bay;Chinatown;Little India;the Botanic Gardens|Bangkok;Bali
Stockholm|Sweden|9|11|Gamla Stan;the Vasa Museum;Djurgården;the archipelago|Oslo;Copenhagen
Sydney|Australia|21|-5|the Opera House;Bondi;the Rocks;the harbour ferries|Auckland;Bali
Taipei|Taiwan|25|7|Taipei 101;Elephant Mountain;Dadaocheng;a night market|Tokyo;Hanoi
Tokyo|Japan|17|11|Asakusa;Shibuya;Ueno park;teamLab's light halls|Seoul;Taipei
Toronto|Canada|11|13|the Distillery District;the islands;Kensington Market;the ROM|New York;Reykjavik
Vienna|Austria|15|11|Schönbrunn;the Belvedere;Naschmarkt;the Prater|Budapest;Prague
"""
DESTINATIONS = tuple(_parse(line) for line in _GAZETTEER.strip().splitlines())

# What people write, and the gazetteer does not.
_ALIASES = {
    "uk": "London",
    "united kingdom": "London",
    "britain": "London",
    "spain": "Madrid",
    "usa": "New York",
    "nyc": "New York",
    "holland": "Amsterdam",
    "czech republic": "Prague",
    "marrakech": "Marrakesh",
    "rio": "Rio de Janeiro",
    "korea": "Seoul",
    "lisboa": "Lisbon",
    "roma": "Rome",
    "wien": "Vienna",
}

# After "from" stands where somebody starts, not where the journey goes.
_PRECEDED_BY_FROM = re.compile(r"\bfrom (?:the )?$")


def fold(text: str) -> str:
    """Return `text` without accents, capitals and curly apostrophes, for comparison."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _index() -> dict[str, Destination]:
    names = {fold(place.name): place for place in DESTINATIONS}
    countries = {fold(place.country): place for place in reversed(DESTINATIONS)}
    return countries | names | {alias: names[fold(name)] for alias, name in _ALIASES.items()}


_INDEX = _index()
# Longest first, so that "south korea" is not read as "korea".
_NAMES = re.compile(rf"\b({'|'.join(sorted(map(re.escape, _INDEX), key=len, reverse=True))})\b")

# Up to three capitalised words after a word that points somewhere ("a week in Porto Santo") ...
_CAPITALISED = r"[^\W\d_a-zà-ÿ][\w'-]+"
_ELSEWHERE = re.compile(
    r"\b(?i:to|in|visit|visiting|about|around|for|is|add|include|explore)\s+(?:the\s+)?"
    rf"({_CAPITALISED}(?:\s+(?:{_CAPITALISED}|de|del|da|of|la)){{0,2}})"
)
# ... or one plain word after something that only a traveller says ("a trip to porto").
_ELSEWHERE_PLAIN = re.compile(r"\b(?i:trip to|travel to|go to|fly to|days? in|weekend in)\s+([a-zà-ÿ]{4,})\b")
_NOT_A_PLACE = re.compile(
    r"(january|february|march|april|may|june|july|august|september|october|november|december"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|spring|summer|autumn|winter"
    r"|english|day|some|this|that|total|bed|sleep|work|next)"
    r"\b"
)


def elsewhere(name: str) -> Destination:
    """Return an entry for a place that the gazetteer does not hold: mild, and with things every place has."""
    sights = ("the old centre", "the main market", "the best viewpoint", "the largest park")
    return Destination(name=name, country="", warmth_c=18, swing_c=7, sights=sights)


def lookup(name: str) -> Destination:
    """Return the place called `name`, known or not."""
    return find_destination(name) or elsewhere(name.strip() or "Somewhere")


def find_destination(text: str) -> Destination | None:
    """Return the place that `text` wants to go to: a known one anywhere in it, or else a likely new one."""
    folded = fold(text)
    for match in _NAMES.finditer(folded):
        if not _PRECEDED_BY_FROM.search(folded[: match.start()]):
            return _INDEX[match[1]]
    for match in (*_ELSEWHERE.finditer(text), *_ELSEWHERE_PLAIN.finditer(text)):
        if not _NOT_A_PLACE.match(fold(match[1])):
            return elsewhere(match[1][0].upper() + match[1][1:])
    return None
